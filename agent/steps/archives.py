"""What tar and zip archives hold, with nothing that could land outside of the directory they are unpacked in.

Refused are absolute names, `..`, links that lead out or have something below them, devices and FIFOs, and more than a
bound of entries or bytes. Owners are never those of the archive; modes lose setuid, setgid and the write permission of
others. Nothing here writes.
"""

from __future__ import annotations

import contextlib
import posixpath
import stat
import zlib
from typing import IO, Any, BinaryIO, Dict, Iterator, List, Optional, Protocol

from agent.contract.record import NamedTuple
from agent.steps.step import StepFailed

ENTRIES_AT_MOST = 50000
_PIECE = 256 * 1024
_TARGET_AT_MOST = 4096


class Member(NamedTuple):
    """One entry: `kind` is file, directory or link, `target` what a link says; `handle` is the archive's own."""

    path: str
    kind: str
    mode: int
    size: int = 0
    target: str = ""
    handle: Any = None


class Archive(Protocol):
    """An open archive."""

    def members(self) -> Iterator[Member]:
        """Every entry, as the archive names it."""

    def open(self, member: Member) -> IO[bytes]:
        """The bytes of a file."""


@contextlib.contextmanager
def opened(file: BinaryIO) -> Iterator[Archive]:
    """The archive in a file; which kind it is, its first bytes say. Raises `StepFailed` for one that is damaged."""
    import tarfile
    import zipfile

    is_zip = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    file.seek(0)
    # RuntimeError: what zipfile raises, or a kind of it, for compressions and versions that it does not know
    damage = [tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, ValueError, RuntimeError]
    with contextlib.suppress(ImportError):
        import lzma

        damage.append(lzma.LZMAError)
    try:
        if is_zip:
            with zipfile.ZipFile(file) as zipped:
                yield _Zip(zipped)
        else:
            with tarfile.open(fileobj=file, mode="r:*") as tarred:
                yield _Tar(tarred)
    except tuple(damage) as error:
        raise StepFailed("the archive cannot be read: %s" % error) from error


def contents(archive: Archive, strip: int, limit: int) -> Dict[str, Member]:
    """What is unpacked, by its path in the directory: in the order of the archive, parents before what is in them.

    Raises `StepFailed`.
    """
    found: Dict[str, Member] = {}
    size = 0
    for member in archive.members():
        path = _stripped(member.path, strip)
        if path is None:
            continue
        size += member.size
        if len(found) >= ENTRIES_AT_MOST:
            raise StepFailed("the archive has more than %d entries" % ENTRIES_AT_MOST)
        if size > limit:
            raise StepFailed("the archive holds more than %d bytes" % limit)
        if member.kind == "link":
            _stays_within(path, member.target)
        _add(found, member._replace(path=path, mode=_mode(member)))
    return found


def pieces(archive: Archive, member: Member) -> Iterator[bytes]:
    """The bytes of a file, no more than the archive announced."""
    left = member.size
    with archive.open(member) as file:
        while True:
            piece = file.read(_PIECE)
            if not piece:
                break
            left -= len(piece)
            if left < 0:
                raise StepFailed("the archive holds more of %s than it announces" % member.path)
            yield piece
    if left:
        raise StepFailed("the archive ends within %s" % member.path)


def _stripped(name: str, strip: int) -> Optional[str]:
    """The path in the directory; None where nothing of it is left."""
    if name.startswith("/"):
        raise StepFailed("the archive has an absolute name: %s" % name)
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise StepFailed("the archive has a name that leads out: %r" % name)
    return "/".join(parts[strip:]) or None


def _stays_within(path: str, target: str) -> None:
    """A link may go up only at its beginning, where no other link is passed, and not above the directory."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    if not target or target.startswith("/") or "\0" in target or ".." in parts[up:] or up > path.count("/"):
        raise StepFailed("the archive has a link that leads out: %s -> %s" % (path, target))


def _add(found: Dict[str, Member], member: Member) -> None:
    """Adds it and the directories above it; what comes later in an archive replaces its like."""
    parent = posixpath.dirname(member.path)
    missing: List[str] = []
    while parent and parent not in found:
        missing.append(parent)
        parent = posixpath.dirname(parent)
    if parent and found[parent].kind != "directory":
        raise StepFailed("the archive has %s below %s, which is a %s" % (member.path, parent, found[parent].kind))
    for path in reversed(missing):
        found[path] = Member(path, "directory", 0o755)
    there = found.get(member.path)
    if there and "directory" in (there.kind, member.kind) and there.kind != member.kind:
        raise StepFailed("the archive has %s twice, as a %s and as a %s" % (member.path, there.kind, member.kind))
    found[member.path] = member


def _mode(member: Member) -> int:
    if member.kind == "link":
        return 0o777
    return member.mode & 0o755 | (0o700 if member.kind == "directory" else 0o600)


class _Tar:
    def __init__(self, tar: Any) -> None:
        self._tar = tar
        self._files: Dict[str, Any] = {}

    def members(self) -> Iterator[Member]:
        for info in self._tar:
            if info.isdir():
                yield Member(info.name, "directory", info.mode)
            elif info.issym():
                yield Member(info.name, "link", info.mode, 0, info.linkname)
            elif info.isreg() or info.islnk():
                meant = self._meant(info)
                self._files[posixpath.normpath(info.name)] = meant
                yield Member(info.name, "file", info.mode, meant.size, "", meant)
            else:
                raise StepFailed("the archive has %s, which is a device or FIFO" % info.name)

    def open(self, member: Member) -> IO[bytes]:
        file: Optional[IO[bytes]] = self._tar.extractfile(member.handle)
        if file is None:
            raise StepFailed("the archive has no content for %s" % member.path)
        return file

    def _meant(self, info: Any) -> Any:
        """The file itself; for a hard link the one that it is a second name of."""
        if not info.islnk():
            return info
        meant = self._files.get(posixpath.normpath(info.linkname))
        if meant is None:
            raise StepFailed("the archive has a hard link to what is no file before it: %s" % info.name)
        return meant


class _Zip:
    def __init__(self, zipped: Any) -> None:
        self._zip = zipped

    def members(self) -> Iterator[Member]:
        for info in self._zip.infolist():
            mode = info.external_attr >> 16 if info.create_system == 3 else 0
            if info.flag_bits & 1:
                raise StepFailed("the archive is encrypted: %s" % info.filename)
            if info.is_dir():
                yield Member(info.filename, "directory", mode or 0o755)
            elif stat.S_ISLNK(mode):
                if info.file_size > _TARGET_AT_MOST:
                    raise StepFailed("the archive has a link of %d bytes: %s" % (info.file_size, info.filename))
                yield Member(info.filename, "link", mode, 0, self._zip.read(info).decode("utf-8", "surrogateescape"))
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                yield Member(info.filename, "file", mode or 0o644, info.file_size, "", info)
            else:
                raise StepFailed("the archive has %s, which is a device or FIFO" % info.filename)

    def open(self, member: Member) -> IO[bytes]:
        file: IO[bytes] = self._zip.open(member.handle)
        return file
