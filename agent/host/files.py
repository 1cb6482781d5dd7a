"""Files beneath a root: every path is taken part by part, and every change is made where it was looked."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
from typing import BinaryIO, ContextManager, Dict, Iterator, List, Optional, Sequence, Tuple

from agent.host import extended
from agent.host.beneath import Beneath
from agent.host.port import CONTENT_KEPT, Content, Entry, Snapshot, staged_name

MANY = 8
"""Files and directories from which on their file system is synced as a whole, where that is cheap."""
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalFiles:
    """What a host does with files, in the tree at `root`."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._tree = Beneath(self._root)

    def lstat(self, path: str) -> Optional[Entry]:
        with _absent_is_none(), self._tree.parent(path) as (here, name):
            return _entry(here, name)
        return None

    def times(self, path: str) -> Tuple[int, int]:
        with self._tree.parent(path) as (here, name):
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
            return found.st_mtime_ns // 1_000_000, found.st_atime_ns // 1_000_000

    def walking_once(self) -> ContextManager[None]:
        return self._tree.walking_once()

    def snapshot(self, path: str, keep: int = CONTENT_KEPT) -> Optional[Snapshot]:
        with _absent_is_none(), self._tree.parent(path) as (here, name):
            found = os.stat(name, dir_fd=here, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                return Snapshot(_described(found, _target(here, name, found)))
            file = os.open(name, _READ, dir_fd=here)
            try:
                return _read_whole(file, keep)
            finally:
                os.close(file)
        return None

    def read(self, path: str, limit: int = CONTENT_KEPT) -> bytes:
        with self._tree.parent(path) as (here, name), _opened(here, name) as file:
            return b"".join(_chunks(file, limit))

    def open_staged(self, path: str) -> BinaryIO:
        with self._tree.parent(path) as (here, name), _opened(here, staged_name(name)) as file:
            return os.fdopen(os.dup(file), "rb")

    def listdir(self, path: str) -> List[str]:
        with self._tree.parent(path) as (here, name):
            directory = os.open(name, _READ | os.O_DIRECTORY, dir_fd=here)
            try:
                return sorted(os.listdir(directory))
            finally:
                os.close(directory)

    def mkdir(self, path: str, mode: int) -> None:
        with self._tree.parent(path) as (here, name):
            os.mkdir(name, 0o700, dir_fd=here)
            _chmod(here, name, mode)

    def rmdir(self, path: str) -> None:
        with self._tree.parent(path) as (here, name):
            os.rmdir(name, dir_fd=here)

    def unlink(self, path: str) -> None:
        with self._tree.parent(path) as (here, name):
            os.unlink(name, dir_fd=here)

    def chmod(self, path: str, mode: int) -> None:
        with self._tree.parent(path) as (here, name):
            _chmod(here, name, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        with self._tree.parent(path) as (here, name):
            os.chown(name, uid, gid, dir_fd=here, follow_symlinks=False)

    def symlink(self, target: str, path: str) -> None:
        with self._tree.parent(path) as (here, name):
            staged = staged_name(name)
            _drop(here, staged)
            os.symlink(target, staged, dir_fd=here)
            try:
                os.rename(staged, name, src_dir_fd=here, dst_dir_fd=here)
            except OSError:
                _drop(here, staged)
                raise

    def stage(self, path: str, data: Content, mode: int, uid: int = -1, gid: int = -1, *, sync: bool = True) -> None:
        with self._tree.parent(path) as (here, name):
            staged = staged_name(name)
            _drop(here, staged)
            try:
                _write(here, staged, data, mode, (uid, gid), _kept(here, name), sync=sync)
            except BaseException:
                _drop(here, staged)
                raise

    def publish(self, path: str) -> None:
        with self._tree.parent(path) as (here, name):
            os.rename(staged_name(name), name, src_dir_fd=here, dst_dir_fd=here)

    def discard(self, path: str) -> None:
        with self._tree.parent(path) as (here, name):
            _drop(here, staged_name(name))

    def sync_directory(self, path: str) -> None:
        with self._tree.directory(path) as directory:
            os.fsync(directory)

    def sync_many(self, staged: Sequence[str], directories: Sequence[str]) -> None:
        if len(staged) + len(directories) >= MANY and self._synced_whole(staged, directories):
            return
        for path in staged:
            with self._tree.parent(path) as (here, name), _opened(here, staged_name(name)) as file:
                os.fsync(file)
        for path in directories:
            self.sync_directory(path)

    def _synced_whole(self, staged: Sequence[str], directories: Sequence[str]) -> bool:
        """Whether the file systems that these lie on could be synced in one go each."""
        from agent.host import whole

        if not whole.possible():
            return False
        with contextlib.ExitStack() as opened:
            systems: Dict[int, int] = {}
            for path in sorted({*directories, *(os.path.dirname(path) for path in staged)}):
                with self._tree.directory(path) as directory:
                    device = os.fstat(directory).st_dev
                    if device not in systems:
                        systems[device] = os.dup(directory)
                        opened.callback(os.close, systems[device])
            whole.sync(systems.values())
        return True

    def put_value(self, path: str, data: bytes) -> None:
        with self._tree.parent(path) as (here, name):
            if _entry(here, name).kind != "file":
                raise OSError(errno.EINVAL, "not a regular file", path)
            file = os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            try:
                os.write(file, data)
            finally:
                os.close(file)


@contextlib.contextmanager
def _absent_is_none() -> Iterator[None]:
    with contextlib.suppress(FileNotFoundError):
        yield


def _entry(here: int, name: str) -> Entry:
    found = os.stat(name, dir_fd=here, follow_symlinks=False)
    return _described(found, _target(here, name, found))


def _target(here: int, name: str, found: os.stat_result) -> str:
    return os.readlink(name, dir_fd=here) if stat.S_ISLNK(found.st_mode) else ""


def _described(found: os.stat_result, target: str = "") -> Entry:
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "device")
    mode = stat.S_IMODE(found.st_mode)
    return Entry(kind, mode, found.st_uid, found.st_gid, found.st_size, found.st_nlink, target)


@contextlib.contextmanager
def _opened(here: int, name: str) -> Iterator[int]:
    """A regular file for reading. A look comes first, for even to open a FIFO or a device does something."""
    if not stat.S_ISREG(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    file = os.open(name, _READ, dir_fd=here)
    try:
        yield file
    finally:
        os.close(file)


def _read_whole(file: int, keep: int) -> Snapshot:
    """Bytes, size and digest are those of one reading, whatever is written meanwhile."""
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EAGAIN, "it was replaced while it was looked at")
    first = os.read(file, min(found.st_size, CONTENT_KEPT) + 1)
    if 0 < len(first) <= found.st_size < CONTENT_KEPT:  # less than was asked for: that is all
        digest, size, kept = hashlib.sha256(first).hexdigest(), len(first), [first]
    else:
        digest, size, kept = _read_on(file, first, keep)
    entry = Entry("file", found.st_mode & 0o7777, found.st_uid, found.st_gid, size, found.st_nlink)
    return Snapshot(entry, "sha256:" + digest, b"".join(kept) if size <= keep else None)


def _read_on(file: int, first: bytes, keep: int) -> Tuple[str, int, List[bytes]]:
    """Digest, size and, where they are few, the bytes of what begins with `first`."""
    hashed, kept, size = hashlib.sha256(first), [first], len(first)
    for chunk in _chunks(file):
        hashed.update(chunk)
        size += len(chunk)
        if size <= keep:
            kept.append(chunk)
    return hashed.hexdigest(), size, kept


def _chunks(file: int, limit: int = sys.maxsize) -> Iterator[bytes]:
    left = limit
    while left > 0:
        chunk = os.read(file, min(left, CONTENT_KEPT))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk


def _chmod(here: int, name: str, mode: int) -> None:
    if os.chmod in os.supports_follow_symlinks and os.chmod in os.supports_dir_fd and not hasattr(os, "O_PATH"):
        os.chmod(name, mode, dir_fd=here, follow_symlinks=False)
        return
    entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    try:
        os.chmod("/proc/self/fd/%d" % entry, mode)
    finally:
        os.close(entry)


def _write(
    here: int,
    name: str,
    data: Content,
    mode: int,
    owners: Tuple[int, int],
    attributes: Optional[Dict[str, bytes]],
    *,
    sync: bool,
) -> None:
    file = os.open(name, _CREATE, 0o600, dir_fd=here)
    try:
        for piece in (data,) if isinstance(data, bytes) else data:
            view = memoryview(piece)
            while view:
                view = view[os.write(file, view) :]
        if owners != (-1, -1):
            os.fchown(file, *owners)
        if attributes is not None:
            extended.give(file, attributes)
        os.fchmod(file, mode)
        if sync:
            os.fsync(file)
    finally:
        os.close(file)


def _kept(here: int, name: str) -> Optional[Dict[str, bytes]]:
    """The extended attributes of the file in place, None where there is none or it may not be read."""
    try:
        with _opened(here, name) as file:
            return extended.of(file)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL, errno.EACCES):
            return None
        raise


def _drop(here: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=here)
