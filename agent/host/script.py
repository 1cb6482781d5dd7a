"""Running a script text to its end: from a private file, by its own interpreter."""

from __future__ import annotations

import os
import sys
from typing import Dict, List, Optional

from agent.host import process
from agent.host.port import Ran

SYSTEM_PYTHON = ("/usr/bin/python3", "/usr/local/bin/python3")
_PREFIX = "opsctl-script-"


def run(text: str, *, beside: Optional[str], env: Dict[str, str], cwd: str, timeout: float, keep: int) -> Ran:
    """Raises OSError only where the script has not begun."""
    import tempfile  # of use only to a sandbox, whose scripts nobody keeps company

    _sweep(beside)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=beside) as directory:
        path = os.path.join(directory, "script")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
        with open(file, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(text)
        return process.run([*interpreter(text), path], env=env, cwd=cwd, timeout=timeout, keep=keep)


def interpreter(text: str) -> List[str]:
    """The program (and its one argument) that a `#!` line names, read as the kernel does; `sh` without one."""
    first = text.split("\n", 1)[0]
    if not first.startswith("#!") or not first[2:].strip():
        return ["/bin/sh"]
    return first[2:].strip().split(None, 1)


def python() -> str:
    """The Python that everybody on this machine can run: the system's, else the one that the agent runs on."""
    return next((path for path in SYSTEM_PYTHON if os.access(path, os.X_OK)), sys.executable)


def can_scope() -> bool:
    """Whether this process may ask a running systemd for a scope."""
    return os.geteuid() == 0 and os.path.isdir("/run/systemd/system")


def unit_name(execution: str) -> str:
    return "opsctl-%s.scope" % execution


def _sweep(beside: Optional[str]) -> None:
    """Removes what runs that were cut off left here; one that still runs has its script open and misses nothing."""
    import shutil

    if beside is not None:
        for name in os.listdir(beside):
            if name.startswith(_PREFIX):
                shutil.rmtree(os.path.join(beside, name), ignore_errors=True)
