"""A command in a terminal of its own: what it shows to somebody who looks, and takes from somebody who types."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

_DEADLINE = 60.0
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def in_terminal(
    arguments: Sequence[str], typed: Mapping[str, str], env: Mapping[str, str], columns: int = 80
) -> tuple[int, str]:
    """Exit code and all that was shown. Each of `typed` is a prompt and the answer to it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        arguments, stdin=theirs, stdout=theirs, stderr=theirs, env={**env, "TERM": "xterm-256color"}, close_fds=True
    )
    os.close(theirs)
    shown, waiting, deadline = "", dict(typed), time.monotonic() + _DEADLINE
    try:
        while True:
            assert time.monotonic() < deadline, shown
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError as error:
                if error.errno != errno.EIO:  # how Linux says that the other side is closed
                    raise
                break
            if not data:
                break
            shown += data.decode("utf-8", "replace")
            for prompt in [prompt for prompt in waiting if prompt in shown]:
                os.write(ours, waiting.pop(prompt).encode())
        return process.wait(10), shown
    finally:
        os.close(ours)
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def plain(shown: str) -> str:
    """What was shown, without colours and movements."""
    return _STYLE.sub("", shown).replace("\r\n", "\n")
