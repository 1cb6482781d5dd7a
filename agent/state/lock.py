"""The lock that one agent holds on its state directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import Optional


class StateInUse(Exception):
    """Another agent runs on this state directory."""


class StateLock:
    """Held by the one agent that may write a state directory."""

    def __init__(self, directory: str) -> None:
        """Raises StateInUse."""
        path = os.path.join(directory, "lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            self._file = os.open(path, os.O_RDONLY)  # a lock all the same
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StateInUse(
                "another agent%s runs on the state directory %s; stop it, or use another --state"
                % (" (process %s)" % holder if holder else "", directory)
            ) from None
        self._say(b"%d\n" % os.getpid())

    def release(self) -> None:
        self._say(b"")
        os.close(self._file)

    def _say(self, holder: bytes) -> None:
        """Who holds it is told to people only: a full disk may lose it."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
            os.write(self._file, holder)


def holder(directory: str) -> Optional[int]:
    """The process that says it holds a state directory's lock, if there is such a process. Takes no lock itself."""
    try:
        with open(os.path.join(directory, "lock"), "rb") as file:
            process = int(file.read(32))
        os.kill(process, 0)
    except PermissionError:
        return process
    except (OSError, ValueError):
        return None
    return process
