"""A machine held in memory: files, links, accounts, a clock, and programs given as Python functions."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import posixpath
from dataclasses import dataclass, field
from typing import (
    BinaryIO,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
)

from agent.host.port import CONTENT_KEPT, OUTPUT_KEPT, Bounded, Content, Entry, Login, Packed, Ran, Snapshot, UnsafePath

Program = Callable[["MemoryHost", Sequence[str]], Ran]
Shell = Callable[["MemoryHost", str], Ran]
_FOLLOWED_AT_MOST = 40


@dataclass
class Node:
    """One entry: `data` of a file, `target` of a link."""

    kind: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    data: bytes = b""
    target: str = ""


@dataclass
class MemoryHost:
    """The machine of the unit tests.

    `programs` answer `run` by the name in argv[0], `shell` answers `run_script`, `web` is what `fetch` finds by URL,
    `peers` are the certificates of TLS servers, by host:port. `commands` records every argv and script run and every
    URL fetched, `writes` every change made, so that a test can say that there was none. `ended` holds the runs that
    outlived an agent, by execution; `reboots` counts.
    """

    sandbox: bool = False
    runs_scripts: bool = True
    privileged: bool = True
    platform: str = "Linux"
    ended: Dict[str, Ran] = field(default_factory=dict)
    reboots: int = 0
    peers: Dict[str, bytes] = field(default_factory=dict)
    nodes: Dict[str, Node] = field(default_factory=lambda: {"/": Node("directory", 0o755)})
    users: Dict[str, int] = field(default_factory=lambda: {"root": 0})
    groups: Dict[str, int] = field(default_factory=lambda: {"root": 0})
    programs: Dict[str, Program] = field(default_factory=dict)
    shell: Optional[Shell] = None
    milliseconds: int = 1_700_000_000_000
    commands: List[List[str]] = field(default_factory=list)
    writes: List[str] = field(default_factory=list)
    staged: Dict[str, Node] = field(default_factory=dict)
    web: Dict[str, bytes] = field(default_factory=dict)
    unpacked: Dict[str, Dict[str, Packed]] = field(default_factory=dict)

    def walking_once(self) -> ContextManager[None]:
        return contextlib.nullcontext()

    def lstat(self, path: str) -> Optional[Entry]:
        try:
            node = self.nodes.get(self._place(path))
        except FileNotFoundError:
            return None
        if node is None:
            return None
        size = len(node.target or node.data)
        return Entry(node.kind, node.mode, node.uid, node.gid, size, 1, node.target)

    def times(self, path: str) -> Tuple[int, int]:
        self._node(path)
        return self.now(), self.now()

    def snapshot(self, path: str, keep: int = CONTENT_KEPT) -> Optional[Snapshot]:
        entry = self.lstat(path)
        if entry is None or entry.kind != "file":
            return entry and Snapshot(entry)
        data = self.nodes[self._place(path)].data
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        return Snapshot(entry, digest, data if len(data) <= keep else None)

    def read(self, path: str, limit: int = CONTENT_KEPT) -> bytes:
        node = self._node(path)
        if node.kind != "file":
            _fail(errno.EINVAL, path, "not a regular file")
        return node.data[:limit]

    def open_staged(self, path: str) -> BinaryIO:
        staged = self.staged.get(self._place(path))
        if staged is None:
            _fail(errno.ENOENT, path)
        return io.BytesIO(staged.data)

    def fetch(
        self,
        url: str,
        limit: int,
        timeout: float,
        login: Optional[Login] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Iterator[bytes]:
        del timeout
        told = ["%s %s" % (login.method, login.username)] if login else []
        self.commands.append(["fetch", url, *told, *sorted(headers or {})])
        data = self.web.get(url)
        if data is None:
            _fail(errno.EIO, url, "the server answers 404 Not Found")
        if len(data) > limit:
            _fail(errno.EFBIG, url, "it has more than %d bytes" % limit)
        return iter((data[: len(data) // 2], data[len(data) // 2 :]))

    def listdir(self, path: str) -> List[str]:
        place = self._place(path)
        if self._node(path).kind != "directory":
            _fail(errno.ENOTDIR, path)
        return sorted(
            posixpath.basename(name) for name in self.nodes if posixpath.dirname(name) == place and name != "/"
        )

    def mkdir(self, path: str, mode: int) -> None:
        place = self._place(path)
        if place in self.nodes:
            _fail(errno.EEXIST, path)
        self._put(place, Node("directory", mode))

    def rmdir(self, path: str) -> None:
        if self.listdir(path):
            _fail(errno.ENOTEMPTY, path)
        self._take(path)

    def unlink(self, path: str) -> None:
        if self._node(path).kind == "directory":
            _fail(errno.EISDIR, path)
        self._take(path)

    def chmod(self, path: str, mode: int) -> None:
        node = self._node(path)
        if node.kind == "link":
            _fail(errno.ENOTSUP, path)
        node.mode = mode
        self.writes.append(path)

    def chown(self, path: str, uid: int, gid: int) -> None:
        node = self._node(path)
        node.uid, node.gid = _owners(uid, gid, node.uid, node.gid)
        if node.kind == "file":
            node.mode &= 0o1777
        self.writes.append(path)

    def symlink(self, target: str, path: str) -> None:
        place = self._place(path)
        if place in self.nodes and self.nodes[place].kind == "directory":
            _fail(errno.EISDIR, path)
        self._put(place, Node("link", 0o777, target=target))

    def stage(self, path: str, data: Content, mode: int, uid: int = -1, gid: int = -1, *, sync: bool = True) -> None:
        del sync
        data = data if isinstance(data, bytes) else b"".join(data)
        self.staged[self._place(path)] = Node("file", mode, *_owners(uid, gid, 0, 0), data=data)

    def publish(self, path: str) -> None:
        place = self._place(path)
        if place not in self.staged:
            _fail(errno.ENOENT, path)
        if place in self.nodes and self.nodes[place].kind == "directory":
            _fail(errno.EISDIR, path)
        self._put(place, self.staged.pop(place))

    def discard(self, path: str) -> None:
        self.staged.pop(self._place(path), None)

    def sync_directory(self, path: str) -> None:
        if self._node(path).kind not in ("directory", "link"):
            _fail(errno.ENOTDIR, path)

    def sync_many(self, staged: Sequence[str], directories: Sequence[str]) -> None:
        for path in staged:
            if self._place(path) not in self.staged:
                _fail(errno.ENOENT, path)
        for path in directories:
            self.sync_directory(path)

    def put_value(self, path: str, data: bytes) -> None:
        node = self._node(path)
        if node.kind != "file":
            _fail(errno.EINVAL, path, "not a regular file")
        node.data = data
        self.writes.append(path)

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
        del env, timeout, stopped
        if cwd != "/":
            self._node(cwd)
        program = self.programs.get(argv[0])
        if program is None:
            _fail(errno.ENOENT, argv[0])
        self.commands.append(list(argv))
        return _bounded(program(self, argv), keep)

    def stage_script(self, execution: str, text: str) -> None:
        del execution, text

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
        del env, timeout
        if cwd != "/":
            self._node(cwd)
        if self.shell is None:
            _fail(errno.ENOENT, "/bin/sh")
        self.commands.append(["sh", text])
        ran = _bounded(self.shell(self, text), keep)
        if execution:
            self.ended[execution] = ran
        return ran

    def ended_script(self, execution: str, keep: int = OUTPUT_KEPT) -> Optional[Ran]:
        del keep
        return self.ended.get(execution)

    def unpack(self, name: str, files: Mapping[str, Packed]) -> str:
        self.unpacked[name] = dict(files)
        return "/programs/%s" % name

    def reboot(self) -> None:
        self.reboots += 1

    def peer_certificate(self, address: str, port: int, name: str, timeout: float) -> bytes:
        del name, timeout
        where = "%s:%d" % (address, port)
        if where not in self.peers:
            _fail(errno.ECONNREFUSED, where)
        return self.peers[where]

    def user_id(self, name: str) -> Optional[int]:
        return self.users.get(name, int(name) if name.isdigit() else None)

    def group_id(self, name: str) -> Optional[int]:
        return self.groups.get(name, int(name) if name.isdigit() else None)

    def user_name(self, uid: int) -> str:
        return _name_of(self.users, uid)

    def group_name(self, gid: int) -> str:
        return _name_of(self.groups, gid)

    def now(self) -> int:
        return self.milliseconds

    def monotonic(self) -> float:
        return self.milliseconds / 1000

    def sleep(self, seconds: float) -> None:
        self.milliseconds += int(seconds * 1000)

    def _node(self, path: str) -> Node:
        node = self.nodes.get(self._place(path) if path != "/" else "/")
        if node is None:
            _fail(errno.ENOENT, path)
        return node

    def _put(self, place: str, node: Node) -> None:
        self.nodes[place] = node
        self.writes.append(place)

    def _take(self, path: str) -> None:
        place = self._place(path)
        del self.nodes[place]
        self.writes.append(place)

    def _place(self, path: str) -> str:
        """Where the path really lies: links in its directories followed, its last part not."""
        *parents, name = path.strip("/").split("/")
        if name in ("", ".", ".."):
            raise UnsafePath(errno.EINVAL, "not a path beneath the root", path)
        return posixpath.join(self._directory(parents, path), name)

    def _directory(self, parents: Sequence[str], path: str) -> str:
        here, ahead, followed = "/", list(reversed(parents)), 0
        while ahead:
            part = ahead.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if here == "/" and self.sandbox:
                    raise UnsafePath(errno.EXDEV, "a directory in it is a symbolic link out of the root", path)
                here = posixpath.dirname(here)
                continue
            step = posixpath.join(here, part)
            node = self.nodes.get(step)
            if node is None:
                _fail(errno.ENOENT, path)
            if node.kind == "link":
                followed += 1
                if followed > _FOLLOWED_AT_MOST:
                    _fail(errno.ELOOP, path)
                here, ahead = _follow(node, here, part, path, ahead)
            elif node.kind != "directory":
                _fail(errno.ENOTDIR, path, "%s in it is not a directory" % part)
            else:
                here = step
        return here


def _follow(node: Node, here: str, part: str, path: str, ahead: List[str]) -> Tuple[str, List[str]]:
    if node.uid != 0:
        message = "%s in it is a symbolic link made by user id %d, which is not followed" % (part, node.uid)
        raise UnsafePath(errno.ELOOP, message, path)
    return ("/" if node.target.startswith("/") else here), [*ahead, *reversed(node.target.split("/"))]


def _owners(uid: int, gid: int, old_uid: int, old_gid: int) -> Tuple[int, int]:
    return (old_uid if uid == -1 else uid), (old_gid if gid == -1 else gid)


def _name_of(names: Dict[str, int], number: int) -> str:
    return next((name for name, known in names.items() if known == number), str(number))


def _bounded(ran: Ran, keep: int) -> Ran:
    kept = []
    spilled = 0
    for stream in (ran.stdout, ran.stderr):
        bounded = Bounded(keep)
        bounded.add(stream)
        kept.append(bounded.value())
        spilled += bounded.spilled
    return ran._replace(stdout=kept[0], stderr=kept[1], spilled=spilled)


def _fail(number: int, path: str, why: str = "") -> NoReturn:
    raise OSError(number, why or os.strerror(number), path)
