"""Running a script text: from a private file, by its own interpreter, in a systemd scope where there is systemd."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import tempfile
import time
from typing import Dict, List, Optional

from agent.host import process
from agent.host.port import Ran

_PREFIX = "opsctl-script-"


def run(
    text: str, *, beside: Optional[str], scope: str, env: Dict[str, str], cwd: str, timeout: float, keep: int
) -> Ran:
    """Raises OSError only where the script has not begun. An empty `scope` asks for none."""
    _sweep(beside)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=beside) as directory:
        path = os.path.join(directory, "script")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
        with open(file, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(text)
        argv = [*interpreter(text), path]
        if not scope or not can_scope():
            return process.run(argv, env=env, cwd=cwd, timeout=timeout, keep=keep)
        begun = os.path.join(directory, "begun")
        unit = unit_name(scope, time.monotonic_ns())
        ran = process.run(
            scoped(argv, unit, begun), env=env, cwd=cwd, timeout=timeout, keep=keep, kill_rest=lambda: _kill(unit)
        )
        if not os.path.exists(begun):
            said = ran.stderr.decode("utf-8", "replace").strip() or "exit %d" % ran.rc
            raise OSError(errno.EIO, "no scope for it could be made: %s" % said, "systemd-run")
        return ran


def interpreter(text: str) -> List[str]:
    """The program (and its one argument) that a `#!` line names, read as the kernel does; `sh` without one."""
    first = text.split("\n", 1)[0]
    if not first.startswith("#!") or not first[2:].strip():
        return ["/bin/sh"]
    return first[2:].strip().split(None, 1)


def can_scope() -> bool:
    """Whether this process may ask a running systemd for a scope."""
    return os.geteuid() == 0 and os.path.isdir("/run/systemd/system")


def unit_name(label: str, number: int) -> str:
    return "opsctl-%s-%d.scope" % (re.sub(r"[^A-Za-z0-9_.]+", "-", label)[:120], number)


def scoped(argv: List[str], unit: str, begun: str) -> List[str]:
    """The command line that runs `argv` in a scope, making the file `begun` first.

    systemd-run's own failure ends with 1, as a script may; only `begun` tells the two apart.
    """
    wrapper = ["/bin/sh", "-c", ': >"$0"; exec "$@"', begun]
    return ["systemd-run", "--scope", "--quiet", "--collect", "--unit=" + unit, "--", *wrapper, *argv]


def _sweep(beside: Optional[str]) -> None:
    """Removes what runs that were cut off left here; one that still runs has its script open and misses nothing."""
    if beside is not None:
        for name in os.listdir(beside):
            if name.startswith(_PREFIX):
                shutil.rmtree(os.path.join(beside, name), ignore_errors=True)


def _kill(unit: str) -> None:
    subprocess.run(
        ["systemctl", "kill", "--signal=SIGKILL", unit],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=process.GRACE,
        check=False,
    )
