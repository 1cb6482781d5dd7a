"""What a host can do: values, and one protocol. Paths are absolute; every failure is an `OSError` naming its path."""

from __future__ import annotations

import posixpath
from typing import (
    BinaryIO,
    Callable,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

from agent.contract.record import NamedTuple

CONTENT_KEPT = 1024 * 1024
"""Bytes up to which a file's content is kept by `snapshot`; a larger file is hashed only."""
OUTPUT_KEPT = 24000
"""Bytes of each output stream that `run` keeps."""
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
"""What every process is given, besides HOME and the caller's own names; nothing is inherited."""


Content = Union[bytes, Iterable[bytes]]
"""The bytes of a file, whole or in pieces."""


class UnsafePath(OSError):
    """The path leads through a symbolic link that must not be followed."""


class EndNotSeen(OSError):
    """A script was begun, and how it ended nobody knows."""


class Entry(NamedTuple):
    """What is at a path, the last part never followed.

    `kind` is file, directory, link, fifo, socket or device; `mode` the permission bits (07777); `links` the number of
    hard links; `target` what a link says.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    links: int = 1
    target: str = ""

    def __str__(self) -> str:
        if self.kind == "link":
            return "a symbolic link to %s" % self.target
        return {"file": "a regular file", "fifo": "a FIFO"}.get(self.kind, "a %s" % self.kind)


class Snapshot(NamedTuple):
    """An entry with, for a regular file, the digest of its bytes and the bytes themselves where they were few."""

    entry: Entry
    digest: str = ""
    data: Optional[bytes] = None


class Ran(NamedTuple):
    """A process that ended. `rc` is negative for a signal; `spilled` counts the bytes of output not kept.

    `cancelled`: it was ended because somebody asked for that.
    """

    rc: int
    stdout: bytes = b""
    stderr: bytes = b""
    spilled: int = 0
    timed_out: bool = False
    cancelled: bool = False


class Packed(NamedTuple):
    """A file of a folder of programs: its bytes and whether it may be run; of a symbolic link, what it says."""

    data: bytes = b""
    executable: bool = False
    target: str = ""


class Login(NamedTuple):
    """Whom a web server is asked as, once it wants to know: `method` is Basic or Digest."""

    method: str
    username: str
    password: str


class Host(Protocol):
    """One machine, or one directory tree standing for it."""

    @property
    def sandbox(self) -> bool:
        """Whether only a directory tree is managed: no accounts, packages or services, and owners are left alone."""

    @property
    def runs_scripts(self) -> bool:
        """Whether scripts are run here. They act on the machine itself: a sandbox runs none unless it was told to."""

    @property
    def privileged(self) -> bool:
        """Whether this is root, who may change everything."""

    @property
    def platform(self) -> str:
        """SSM's `platformType`: Linux, MacOS or Windows."""

    def walking_once(self) -> ContextManager[None]:
        """Around looks that follow one another fast and change nothing: each directory is walked to once."""

    def lstat(self, path: str) -> Optional[Entry]:
        """What is there, or None."""

    def times(self, path: str) -> Tuple[int, int]:
        """When what is there was changed and read last, in Unix milliseconds."""

    def snapshot(self, path: str, keep: int = CONTENT_KEPT) -> Optional[Snapshot]:
        """What is there with its content, or None. Opens regular files only."""

    def read(self, path: str, limit: int = CONTENT_KEPT) -> bytes:
        """The first `limit` bytes of a regular file."""

    def fetch(
        self,
        url: str,
        limit: int,
        timeout: float,
        login: Optional[Login] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Iterator[bytes]:
        """The bytes at an http or https URL, in pieces; TLS is verified, proxies are those of the environment.

        Neither the login nor the headers go anywhere but to the URL's own server.

        Raises OSError, also for more than `limit` bytes, and after `timeout` seconds.
        """

    def listdir(self, path: str) -> List[str]:
        """Sorted names in a directory; the last part is not followed."""

    def mkdir(self, path: str, mode: int) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def chmod(self, path: str, mode: int) -> None: ...
    def chown(self, path: str, uid: int, gid: int) -> None:
        """Gives an entry to a user and group; -1 leaves one alone. A link itself, never what it points to.

        A file loses setuid and setgid by it: set the mode afterwards.
        """

    def symlink(self, target: str, path: str) -> None:
        """Puts a link at `path`, atomically in place of a link or file that is there."""

    def stage(self, path: str, data: Content, mode: int, uid: int = -1, gid: int = -1, *, sync: bool = True) -> None:
        """Writes and syncs the bytes beside `path`, to be put there by `publish` or dropped by `discard`.

        Without `sync` they are not to be published before `sync_many`.
        A file that is at `path` gives them its extended attributes, as far as the file system has any.
        """

    def open_staged(self, path: str) -> BinaryIO:
        """What `stage` wrote for `path`, for reading anywhere in it."""

    def publish(self, path: str) -> None:
        """Puts the staged bytes at `path`, atomically; durable after `sync_directory` of its directory."""

    def discard(self, path: str) -> None:
        """Drops what `stage` left for `path`, if anything."""

    def sync_directory(self, path: str) -> None: ...

    def sync_many(self, staged: Sequence[str], directories: Sequence[str]) -> None:
        """Makes durable what `stage` left for these paths, and the names in these directories."""

    def put_value(self, path: str, data: bytes) -> None:
        """Writes into a regular file that is there, in place and at once: how the kernel is told under /proc/sys."""

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Optional[Dict[str, str]] = None,
        cwd: str = "/",
        timeout: float = 60.0,
        keep: int = OUTPUT_KEPT,
        stopped: Callable[[], object] = bool,
    ) -> Ran:
        """Runs a program to its end, with no input and nothing inherited; its whole group is killed at the timeout, and
        once `stopped` says something.
        """

    def stage_script(self, execution: str, text: str) -> None:
        """Puts the text where the run of that name will have it, with room for its result.

        Raises OSError: then nothing was started, and nothing is in the way of a later try.
        """

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
        """Runs a script by the interpreter that its first line names, else `sh`. Its text is never in argv.

        An `execution` names one run, staged before: it is started once at most, outlives the agent, and under systemd
        has a scope of its own. Asked for again, its end is awaited. Raises `EndNotSeen` where nobody knows of it,
        another OSError only where the script has not begun.
        """

    def ended_script(self, execution: str, keep: int = OUTPUT_KEPT) -> Optional[Ran]:
        """How a run that was begun ended, waited for while it goes on; None where nobody knows."""

    def unpack(self, name: str, files: Mapping[str, Packed]) -> str:
        """The directory that has these files by path, for programs to be run from: the same one for the same name.

        What of it is not as it should be is put right. `name` is to differ where the files do.
        """

    def reboot(self) -> None:
        """Asks for a reboot and returns. Raises OSError where it is refused."""

    def peer_certificate(self, address: str, port: int, name: str, timeout: float) -> bytes:
        """The DER certificate that a TLS server presents for a name, whoever has signed it. Nothing is sent to it."""

    def user_id(self, name: str) -> Optional[int]: ...
    def group_id(self, name: str) -> Optional[int]: ...
    def user_name(self, uid: int) -> str: ...
    def group_name(self, gid: int) -> str: ...

    def now(self) -> int:
        """Unix milliseconds."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""

    def sleep(self, seconds: float) -> None: ...


def replace(host: Host, path: str, data: bytes, mode: int, uid: int = -1, gid: int = -1) -> None:
    """The whole of an atomic, durable write: staged, renamed, directory synced."""
    host.stage(path, data, mode, uid, gid)
    host.publish(path)
    host.sync_directory(posixpath.dirname(path))


def staged_name(name: str) -> str:
    """Where the bytes for `name` wait, in the same directory.

    Always the same, so that what a power loss left is overwritten by the next attempt; hidden and dotted, so that
    cron.d, sudoers.d and their like pass it over.
    """
    return ".%s.opsctl-new" % short_enough(name)


def backup_name(name: str) -> str:
    """Where the former bytes of `name` are kept, in the same directory; hidden and dotted for the same reason."""
    return ".%s.opsctl-old" % short_enough(name)


def short_enough(name: str) -> str:
    """The name, or a digest of it where there is no room for more beside it."""
    if len(name.encode("utf-8", "surrogateescape")) <= 200:
        return name
    import hashlib

    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()


class Bounded:
    """Collects a stream: its beginning and its end are kept, what lies between is counted."""

    def __init__(self, keep: int) -> None:
        self._half = keep // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.spilled = 0

    def add(self, data: bytes) -> None:
        room = max(0, self._half - len(self._head))
        self._head += data[:room]
        self._tail += data[room:]
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self.spilled += excess

    def value(self) -> bytes:
        gap = b"\n... %d bytes left out ...\n" % self.spilled if self.spilled else b""
        return bytes(self._head) + gap + bytes(self._tail)
