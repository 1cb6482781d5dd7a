"""Bodies, contexts and files on the node's disk, each under its digest; what comes in is hashed as it is written."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Collection, List, Optional

from agent import durable
from agent.contract.canonical import DIGEST, digest

_INCOMING = "incoming-"


class NotHeld(LookupError):
    """These bytes are not on the node, or no longer what they were; they will be fetched again."""


class WrongBytes(Exception):
    """What arrived is not what was asked for."""


class Objects:
    """The directory. One writer; readers may come from any thread."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        durable.make_directory(directory)
        self._incoming = 0
        for name in os.listdir(directory):
            if name.startswith(_INCOMING):
                os.unlink(os.path.join(directory, name))

    def has(self, wanted: str) -> bool:
        return os.path.exists(self._path(wanted))

    def read(self, wanted: str) -> bytes:
        """The bytes, checked again. Raises NotHeld; damaged ones are removed, so that they are fetched again."""
        path = self._path(wanted)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise NotHeld("%s is not on this node yet" % wanted) from None
        if digest(data) != wanted:
            os.unlink(path)
            raise NotHeld("%s was damaged on this node's disk" % wanted)
        return data

    def receive(self, wanted: str, size: int) -> "Incoming":
        """A place for `size` bytes to come."""
        self._incoming += 1
        return Incoming(os.path.join(self._directory, "%s%d" % (_INCOMING, self._incoming)), self._path(wanted), size)

    def sync(self) -> None:
        """Make the names of what arrived durable."""
        durable.sync_directory(self._directory)

    def sweep(self, keep: Collection[str]) -> List[str]:
        """Remove what nothing refers to; the names removed."""
        kept = {os.path.basename(self._path(item)) for item in keep}
        gone = [name for name in os.listdir(self._directory) if name not in kept and not name.startswith(_INCOMING)]
        for name in gone:
            os.unlink(os.path.join(self._directory, name))
        return gone

    def _path(self, wanted: str) -> str:
        return path_of(self._directory, wanted)


class Incoming:
    """One object on its way: on disk under a passing name until it is whole."""

    def __init__(self, path: str, final: str, size: int) -> None:
        self._path, self._final, self._size = path, final, size
        self._hash = hashlib.sha256()
        self.received = 0
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._file: Optional[int] = handle

    def write(self, data: bytes) -> None:
        """Raises WrongBytes when more comes than was announced."""
        self.received += len(data)
        if self.received > self._size:
            self.abort()
            raise WrongBytes("%d bytes came where %d were announced" % (self.received, self._size))
        self._hash.update(data)
        while data and self._file is not None:
            data = data[os.write(self._file, data) :]

    def finish(self) -> None:
        """Check, sync and name the object. Raises WrongBytes."""
        if self.received != self._size or self._hash.hexdigest() != os.path.basename(self._final):
            self.abort()
            raise WrongBytes("it came damaged or cut")
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
        os.rename(self._path, self._final)

    def abort(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def path_of(directory: str, wanted: str) -> str:
    """Where an object of this digest lies. Raises ValueError for what is no digest."""
    if not DIGEST.match(wanted):
        raise ValueError("%.80r is not a digest" % wanted)
    return os.path.join(directory, wanted[len("sha256:") :])
