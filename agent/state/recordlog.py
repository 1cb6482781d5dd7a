"""An append-only file of records, each with its length and checksum; a torn end is cut, damage inside is stepped over.

file   = HEADER record*
record = MARK, length (4 bytes), CRC-32 of length and payload (4 bytes), payload
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import struct
import zlib
from typing import Callable, Iterable, List, Tuple, Union

from agent import durable
from agent.contract.record import NamedTuple

HEADER = b"opsctl-records-1\n"
MARK = b"\xf1\xc5"
LIMIT = 4 * 1024 * 1024
"""Bytes that one payload may have."""
RESERVE = 1024 * 1024
"""Bytes of disk held back, so that a full one still takes what must not be lost."""

_FRAME = struct.Struct(">2sII")
_fdatasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)

_FULL = (errno.ENOSPC, errno.EDQUOT)

Buffer = Union[bytes, mmap.mmap]


class Record(NamedTuple):
    """A payload and where it starts in the file."""

    at: int
    payload: bytes


class Scan(NamedTuple):
    """What a file holds: whole records, where the last of them ends, and bytes before that which were none."""

    records: List[Record]
    end: int
    damaged: int


def framed(payload: bytes) -> bytes:
    """One record's bytes."""
    if len(payload) > LIMIT:
        raise ValueError("a record of %d bytes is over the limit of %d" % (len(payload), LIMIT))
    return _FRAME.pack(MARK, len(payload), _checksum(len(payload), payload)) + payload


def scan(data: Buffer) -> Scan:
    """Every whole record of a file's bytes. What follows the last one is a torn end."""
    records: List[Record] = []
    damaged, end = 0, len(HEADER) if data[: len(HEADER)] == HEADER else 0
    at = end
    while True:
        payload = _payload(data, at)
        if payload is None:
            at = data.find(MARK, at + 1)
            if at < 0:
                return Scan(records, end, damaged)
            continue
        damaged += at - end
        records.append(Record(at + _FRAME.size, payload))
        at = end = at + _FRAME.size + len(payload)


class RecordLog:
    """The file, open for appending. Not safe for two writers: whoever owns the directory holds a lock."""

    def __init__(self, path: str) -> None:
        """Open or create. `damaged` counts bytes inside that were no record; the file as found is then kept beside."""
        self._path, self._reserve = path, path + ".reserve"
        fresh = not os.path.exists(path)
        self._file, self._writable = self._open()
        self.damaged = 0
        if fresh:
            os.write(self._file, HEADER)
            os.fsync(self._file)
            durable.sync_directory(os.path.dirname(path))
        self.size = os.fstat(self._file).st_size
        self._hold_back()

    def _open(self) -> Tuple[int, bool]:
        """The file, and whether it can be written: a file system that turned read-only can still be read."""
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), True
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            return os.open(self._path, os.O_RDONLY), False

    def load(self) -> List[Record]:
        """Every record, oldest first, after a torn end was cut off."""
        found = self._scan()
        if not self._writable:
            self.size = found.end
        elif found.end == 0:
            self.rewrite([])
        elif found.end < self.size:
            os.ftruncate(self._file, found.end)
            os.fsync(self._file)
            self.size = found.end
        return found.records

    def _scan(self) -> Scan:
        if not self.size:
            return Scan([], 0, 0)
        with mmap.mmap(self._file, self.size, access=mmap.ACCESS_READ) as data:
            found = scan(data)
            self.damaged = found.damaged
            if found.end == 0 and self.size > len(HEADER):
                self.damaged = self.size  # nothing at all was readable: more than a torn end
            if self.damaged:
                _keep(self._path, data[:])
        return found

    def append(self, payload: bytes, sync: bool) -> int:
        """Add a record; with `sync` it is durable on return. Returns where its payload starts."""
        data = framed(payload)
        if not self._writable:
            self._reopen()
        try:
            self._write(data)
        except OSError as error:
            if error.errno not in _FULL or not self._spend():
                raise
            self._write(data)
        self._hold_back()
        at = self.size + _FRAME.size
        self.size += len(data)
        if sync:
            _fdatasync(self._file)
        return at

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            os.ftruncate(self._file, self.size)  # a full disk must not leave half a record under the next one
            raise

    def _reopen(self) -> None:
        """Raises OSError while the file system is read-only."""
        file = os.open(self._path, os.O_RDWR | os.O_APPEND)
        os.close(self._file)
        self._file, self._writable = file, True
        os.ftruncate(file, self.size)

    def _spend(self) -> bool:
        """Give back what was held back; whether there was anything."""
        try:
            os.unlink(self._reserve)
        except OSError:
            return False
        return True

    def _hold_back(self) -> None:
        """Hold some of the disk back, where that leaves enough for others."""
        if not self._writable or os.path.exists(self._reserve):
            return
        free = os.statvfs(os.path.dirname(self._path) or ".")
        if free.f_bavail * free.f_frsize < 4 * RESERVE:
            return
        try:
            file = os.open(self._reserve, os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError:
            return
        try:
            _allocate(file)
        except OSError:
            os.unlink(self._reserve)
        finally:
            os.close(file)

    def read(self, at: int, length: int) -> bytes:
        """The payload that `append` or `load` placed at `at`."""
        return os.pread(self._file, length, at)

    def rewrite(self, payloads: Iterable[bytes]) -> List[int]:
        """Replace the whole content in one durable step; where each payload starts now."""
        beside = self._path + ".new"
        places: List[int] = []
        size = len(HEADER)
        try:
            with open(beside, "wb") as file:
                os.chmod(beside, 0o600)
                file.write(HEADER)
                for payload in payloads:
                    places.append(size + _FRAME.size)
                    size += file.write(framed(payload))
                file.flush()
                os.fsync(file.fileno())
            os.rename(beside, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        durable.sync_directory(os.path.dirname(self._path))
        os.close(self._file)
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND)
        self.size = size
        return places

    def close(self) -> None:
        os.close(self._file)


def _allocate(file: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, RESERVE)
    else:
        os.write(file, bytes(RESERVE))


def _payload(data: Buffer, at: int) -> Union[bytes, None]:
    if at + _FRAME.size > len(data):
        return None
    mark, length, checksum = _FRAME.unpack_from(data, at)
    start = at + _FRAME.size
    if mark != MARK or length > LIMIT or start + length > len(data):
        return None
    payload = data[start : start + length]
    return payload if _checksum(length, payload) == checksum else None


def _checksum(length: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack(">I", length)))


def _keep(path: str, data: bytes) -> None:
    """The damaged file as it was, for whoever wants to look; the first one found is kept."""
    kept = path + ".damaged"
    if not os.path.exists(kept):
        durable.replace(kept, data)
