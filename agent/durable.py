"""Files of the agent's own state: whole or absent, and still there after a power cut."""

from __future__ import annotations

import os
from typing import Optional


def make_directory(path: str, mode: int = 0o700) -> None:
    """Make a directory and its parents; the last gets exactly `mode`, whatever the umask."""
    if os.path.isdir(path):
        return
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    sync_directory(os.path.dirname(os.path.abspath(path)))


def sync_directory(path: str) -> None:
    """Make renames and removals in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(path: str, data: bytes, mode: int = 0o600, durable: bool = True) -> None:
    """Put `data` at `path` in one step: readers see the old bytes or the new; `durable` outlives a power cut."""
    beside = "%s.new-%d" % (path, os.getpid())
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
    if durable:
        sync_directory(os.path.dirname(path) or ".")


def read(path: str, limit: int = 64 * 1024 * 1024) -> Optional[bytes]:
    """The bytes of a file, None where it does not exist. Raises ValueError for one longer than `limit`."""
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        return None
    if len(data) > limit:
        raise ValueError("%s is longer than %d bytes" % (path, limit))
    return data
