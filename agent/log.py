"""What the agent says while it works: one line each on standard error, with the priority that journald reads."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
_NAMES = {ERROR: "error", WARNING: "warning", NOTICE: "notice", INFO: "info"}
_writing = threading.Lock()


def log(priority: int, message: str, *values: object) -> None:
    """Say `message % values`. Never raises: a full pipe or a closed one stops nothing."""
    text = " ".join((message % values if values else message).split())
    under_journald = "JOURNAL_STREAM" in os.environ
    line = "<%d>%s\n" % (priority, text) if under_journald else "opsctl-agent: %s: %s\n" % (_NAMES[priority], text)
    with _writing, contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line)
        sys.stderr.flush()
