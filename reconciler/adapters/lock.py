"""One daemon per state directory on this machine: a lock that the kernel gives back when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from typing import TYPE_CHECKING

from reconciler.adapters.private_files import make_private
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

FILE = "lock"
RULE = "one daemon per state"


class StateLock:
    """A context that holds a directory's lock; the directory is made, for its owner only, where there is none.

    Entering raises `Refused` with pid and host of the holder, `Unavailable` where nothing can be locked.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1

    def __enter__(self) -> StateLock:
        descriptor = _opened(self._directory)
        try:
            _take(descriptor, self._directory)
            _write(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        _write(self._descriptor, b"")
        os.close(self._descriptor)


def _opened(directory: Path) -> int:
    make_private(directory)
    try:
        return os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"the state directory {directory}", error.strerror or str(error)) from error


def _take(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise Unavailable(f"locking {directory / FILE}", error.strerror or str(error)) from error
        remedy = "stop that one first, or name another state directory"
        raise Refused(f"{directory} is held by {_holder(descriptor)}", RULE, remedy) from None


def _holder(descriptor: int) -> str:
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {int(said['pid'])} on {said['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _write(descriptor: int, data: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)
