"""This machine, or one directory tree of it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
import time
from typing import BinaryIO, ContextManager, Dict, Iterator, List, Optional, Sequence, Tuple

from agent.host import extended
from agent.host.beneath import Beneath
from agent.host.port import CONTENT_KEPT, ENVIRONMENT, OUTPUT_KEPT, Content, Entry, Ran, Snapshot, staged_name

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
_PLATFORMS = {"linux": "Linux", "darwin": "MacOS", "win32": "Windows"}


class LocalHost:
    """The machine at `root`; with another root than `/` a sandbox, whose paths all lie beneath it.

    Programs run on the machine itself: in a sandbox they start in it and are told of it as OPSCTL_ROOT, no more.
    `scripts` is the directory that script texts are put in while they run (each in a directory of its own, 0700), for
    this host alone; `executions` that of the runs that outlive the agent. `runs_scripts` matters to a sandbox only.
    `waiting` says that the host waits for such a run, which may be left to itself.
    """

    def __init__(
        self,
        root: str = "/",
        scripts: Optional[str] = None,
        *,
        executions: Optional[str] = None,
        runs_scripts: bool = False,
    ) -> None:
        self._root = os.path.realpath(root)
        self._tree = Beneath(self._root)
        self._scripts, self._executions = scripts, executions
        self.waiting = False
        self.sandbox = self._root != "/"
        self.runs_scripts = runs_scripts or not self.sandbox
        self.privileged = os.geteuid() == 0
        self.platform = _PLATFORMS.get(sys.platform, sys.platform)

    def lstat(self, path: str) -> Optional[Entry]:
        with _absent_is_none(), self._tree.parent(path) as (here, name):
            return _entry(here, name)
        return None

    def walking_once(self) -> ContextManager[None]:
        """See `Beneath.walking_once`."""
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

    def fetch(self, url: str, limit: int, timeout: float) -> Iterator[bytes]:
        from agent.host import fetch

        return fetch.pieces(url, limit, timeout)

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

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Optional[Dict[str, str]] = None,
        cwd: str = "/",
        timeout: float = 60.0,
        keep: int = OUTPUT_KEPT,
    ) -> Ran:
        from agent.host import process

        with self._working_directory(cwd) as directory:
            return process.run(argv, env=self._environment(env), cwd=directory, timeout=timeout, keep=keep)

    def stage_script(self, execution: str, text: str) -> None:
        from agent.host import executions

        if self._executions is not None:
            executions.stage(self._executions, execution, text)

    def run_script(
        self,
        text: str,
        *,
        execution: str = "",
        env: Optional[Dict[str, str]] = None,
        cwd: str = "/",
        timeout: float = 3600.0,
        keep: int = OUTPUT_KEPT,
    ) -> Ran:
        from agent.host import executions, script

        environment = self._environment(env)
        with self._working_directory(cwd) as directory:
            if not execution or self._executions is None:
                return script.run(
                    text, beside=self._scripts, env=environment, cwd=directory, timeout=timeout, keep=keep
                )
            place = executions.Place(environment, directory, scope=not self.sandbox)
            with self._wait():
                return executions.run(self._executions, execution, place, timeout, keep)

    def ended_script(self, execution: str, keep: int = OUTPUT_KEPT) -> Optional[Ran]:
        from agent.host import executions

        if self._executions is None:
            return None
        with self._wait():
            return executions.ended(self._executions, execution, keep)

    def reboot(self) -> None:
        argv = ["systemctl", "reboot"] if os.path.isdir("/run/systemd/system") else ["shutdown", "-r", "now"]
        ran = self.run(argv)
        if ran.rc:
            said = (ran.stderr or ran.stdout).decode("utf-8", "replace").strip()
            raise OSError(errno.EPERM, said or "exit %d" % ran.rc, argv[0])

    def peer_certificate(self, address: str, port: int, name: str, timeout: float) -> bytes:
        from agent.host import peer

        return peer.certificate(address, port, name, timeout)

    def user_id(self, name: str) -> Optional[int]:
        import pwd

        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            return int(name) if name.isdigit() else None

    def group_id(self, name: str) -> Optional[int]:
        import grp

        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return int(name) if name.isdigit() else None

    def user_name(self, uid: int) -> str:
        import pwd

        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def group_name(self, gid: int) -> str:
        import grp

        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)

    def now(self) -> int:
        return int(time.time() * 1000)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @contextlib.contextmanager
    def _wait(self) -> Iterator[None]:
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False

    def _environment(self, more: Optional[Dict[str, str]]) -> Dict[str, str]:
        environment = dict(ENVIRONMENT, HOME=os.path.expanduser("~%s" % self.user_name(os.geteuid())))
        if self.sandbox:
            environment["OPSCTL_ROOT"] = self._root
        environment.update(more or {})
        return environment

    @contextlib.contextmanager
    def _working_directory(self, path: str) -> Iterator[str]:
        """A path that means the directory to a child process, which still has our descriptors when it goes there."""
        if not self.sandbox:
            yield path
            return
        with self._tree.directory(path) as found:
            directory = os.dup(found)
        try:
            entered = "/proc/self/fd/%d" % directory
            yield entered if os.path.isdir(entered) else os.path.join(self._root, path.lstrip("/"))
        finally:
            os.close(directory)


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
