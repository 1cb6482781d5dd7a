"""Who holds a lock, as the kernel tells it: for reasons that people can act on."""

from __future__ import annotations

import posixpath
import re
from typing import Collection, Optional

from agent.host.port import Host

_LOCK = re.compile(r"^\d+: (?:POSIX|FLOCK|OFDLCK) +\S+ +WRITE +(\d+) ", re.MULTILINE)
_LOCKS_AT_MOST = 4 * 1024 * 1024
_NAME_AT_MOST = 64


def holder(host: Host, paths: Collection[str]) -> Optional[str]:
    """The process that holds a lock on one of the files, as `process 7 (apt-get)`; None where none is found."""
    try:
        locks = host.read("/proc/locks", _LOCKS_AT_MOST).decode("ascii", "replace")
    except OSError:
        return None
    return next((_named(host, pid) for pid in dict.fromkeys(_LOCK.findall(locks)) if _has_open(host, pid, paths)), None)


def _has_open(host: Host, pid: str, paths: Collection[str]) -> bool:
    directory = "/proc/%s/fd" % pid
    try:
        entries = [host.lstat(posixpath.join(directory, name)) for name in host.listdir(directory)]
    except OSError:
        return False
    return any(entry is not None and entry.target in paths for entry in entries)


def _named(host: Host, pid: str) -> str:
    try:
        name = host.read("/proc/%s/comm" % pid, _NAME_AT_MOST).decode("utf-8", "replace").strip()
    except OSError:
        return "process %s" % pid
    return "process %s (%s)" % (pid, name)
