"""This machine, or one directory tree of it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from typing import Callable, Dict, Iterator, Mapping, Optional, Sequence

from agent.host.files import LocalFiles
from agent.host.port import ENVIRONMENT, OUTPUT_KEPT, Login, Packed, Ran

_PLATFORMS = {"linux": "Linux", "darwin": "MacOS", "win32": "Windows"}


class LocalHost(LocalFiles):
    """The machine at `root`; with another root than `/` a sandbox, whose paths all lie beneath it.

    Programs run on the machine itself: in a sandbox they start in it and are told of it as OPSCTL_ROOT, no more.
    `scripts` is the directory that script texts are put in while they run (each in a directory of its own, 0700), for
    this host alone; `executions` that of the runs that outlive the agent. `runs_scripts` matters to a sandbox only.
    `waiting` says that the host waits for such a run, which may be left to itself. `whole` bytes of what such a run
    says are kept, as they come; 0 for the beginning and the end of it.
    """

    def __init__(
        self,
        root: str = "/",
        scripts: Optional[str] = None,
        *,
        executions: Optional[str] = None,
        runs_scripts: bool = False,
        whole: int = 0,
    ) -> None:
        super().__init__(root)
        self._scripts, self._executions, self._whole = scripts, executions, whole
        self.waiting = False
        self.sandbox = self._root != "/"
        self.runs_scripts = runs_scripts or not self.sandbox
        self.privileged = os.geteuid() == 0
        self.platform = _PLATFORMS.get(sys.platform, sys.platform)

    def fetch(
        self,
        url: str,
        limit: int,
        timeout: float,
        login: Optional[Login] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Iterator[bytes]:
        from agent.host import fetch

        return fetch.pieces(url, limit, timeout, login, headers or {})

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
        from agent.host import process

        with self._working_directory(cwd) as directory:
            return process.run(
                argv, env=self._environment(env), cwd=directory, timeout=timeout, keep=keep, stopped=stopped
            )

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
            place = executions.Place(environment, directory, scope=not self.sandbox, whole=self._whole)
            with self._wait():
                return executions.run(self._executions, execution, place, timeout, keep)

    def ended_script(self, execution: str, keep: int = OUTPUT_KEPT) -> Optional[Ran]:
        from agent.host import executions

        if self._executions is None:
            return None
        with self._wait():
            return executions.ended(self._executions, execution, keep)

    def unpack(self, name: str, files: Mapping[str, Packed]) -> str:
        from agent.host import programs

        if self._scripts is None:
            raise FileNotFoundError(errno.ENOENT, "this host has no directory for programs", name)
        return programs.unpack(os.path.join(self._scripts, "programs"), name, files)

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
