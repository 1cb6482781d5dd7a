"""inotify(7) through ctypes: the kernel says which name of a directory was touched."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Iterator

from agent.contract.record import NamedTuple

MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
DELETE_SELF, UNMOUNT, OVERFLOW, IGNORED = 0x400, 0x2000, 0x4000, 0x8000
NAMES = MOVED_FROM | MOVED_TO | CREATE | DELETE
"""What happens to the names of a directory."""
CONTENTS = NAMES | MODIFY | ATTRIB | CLOSE_WRITE
"""The same, and what happens to what the names stand for."""

_ONLYDIR, _EXCL_UNLINK, _MASK_ADD = 0x01000000, 0x04000000, 0x20000000
_HEADER = struct.Struct("iIII")
_READ_AT_ONCE = 64 * 1024


class Event(NamedTuple):
    """`watch` is -1 where the kernel dropped events; `name` is empty for the directory itself."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One inotify instance. Raises OSError where the kernel gives none (EMFILE), or has no inotify (ENOSYS)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.file = self._done(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")

    def watch(self, directory: str, mask: int) -> int:
        """Watch a directory, for more than before where it is watched; the number of its watch.

        Raises OSError: ENOENT and ENOTDIR for a directory that is not there, ENOSPC where the user may have no more.
        """
        wanted = mask | _ONLYDIR | _EXCL_UNLINK | _MASK_ADD
        return self._done(self._libc.inotify_add_watch(self.file, os.fsencode(directory), wanted), directory)

    def forget(self, watch: int) -> None:
        """No more of this watch, which may be gone by itself."""
        self._libc.inotify_rm_watch(self.file, watch)

    def read(self) -> Iterator[Event]:
        """What has happened and fits one read; nothing where nothing has."""
        try:
            data = os.read(self.file, _READ_AT_ONCE)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            yield Event(watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length

    def close(self) -> None:
        os.close(self.file)

    @staticmethod
    def _done(result: int, what: str) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), what)
        return result
