"""One node: a disk, a cable, and a systemd that boots, answers, hangs, reboots and loses power."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fleet import inside, packages
from tests.fleet.commands import FleetError, run, wait_for
from tests.fleet.ground import Ground
from tests.fleet.network import delete, set_link
from tests.fleet.rootfs import Rootfs

_SUPERVISE = Path(__file__).with_name("supervise.sh")
# Join the node's cgroup first and fork after: nobody can look for the node's processes before they are there.
_START = 'echo $$ > "$1/cgroup.procs"; shift; exec 3</proc/self/ns/net; exec setsid --fork "$@"'
_BOOTED = ("running", "degraded")


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What a node is made of. `repository` is a directory of `packages.ensure`, `python` of `pythons`; or None."""

    name: str
    index: int
    rootfs: Rootfs
    repository: Path | None = None
    python: Path | None = None


class Node:
    """A node of a fleet. Methods that reach into it need it to be on; FleetError says when it is not."""

    def __init__(self, spec: NodeSpec, ground: Ground) -> None:
        self.name = spec.name
        self.spec = spec
        self.address = ground.network.node_address(spec.index)
        self.host_address = ground.network.host_address
        self._network = ground.network
        self._link = ground.network.link(spec.index)
        self._plugged = True
        self._cgroup = ground.cgroup.child(spec.name)
        self._directory = ground.directory / spec.name
        self._hierarchy = ground.hierarchy

    # ---- power

    def start(self) -> Node:
        """Switch on, with the disk as it was; returns at once, see `wait_booted`."""
        if self._cgroup.populated():
            raise FleetError(f"{self.name} is already on")
        if not self._directory.exists():
            self._make_disk()
        self._unplug_for_good()
        supervisor = self._cgroup.child("power").make()
        spec = self.spec
        nspawn = [f"--bind-ro={spec.repository}:{packages.IN_NODE}"] if spec.repository else []
        nspawn += [f"--bind-ro={spec.python}"] if spec.python else []
        names = (self.name, self._network.bridge, self._link, "up" if self._plugged else "down")
        # fmt: off
        supervise = ["unshare", "--mount", "--net", "--propagation", "private", "sh", str(_SUPERVISE),
                     str(spec.rootfs.root), str(self._directory), *names, self.address, self.host_address, *nspawn]
        # fmt: on
        with (self._directory / "console.log").open("ab") as console:
            run("sh", "-c", _START, "-", str(supervisor.directory), *supervise, log=console)
        return self

    def power_off(self) -> None:
        """Cut the power: nothing in the node gets to say goodbye. The disk stays."""
        self._cgroup.remove()
        self._unplug_for_good()

    def remove(self) -> None:
        """Cut the power and throw the disk away."""
        self.power_off()
        shutil.rmtree(self._directory, ignore_errors=True)

    def reboot(self, timeout: float = 60) -> None:
        """Reboot in order, and wait until the node has booted again."""
        with self.expect_reboot(timeout):
            os.kill(self._leader(), signal.SIGRTMIN + 5)  # systemd: start reboot.target

    @contextmanager
    def expect_reboot(self, timeout: float = 60) -> Iterator[None]:
        """What happens in this block reboots the node; afterwards wait until it has booted again."""
        before = self._leader()
        yield
        wait_for(lambda: inside.leader(self._cgroup) not in (before, None), f"{self.name} to reboot", timeout)
        self.wait_booted(timeout)

    def is_on(self) -> bool:
        """Whether it has power; a node that shut itself down has not."""
        return self._cgroup.populated()

    def wait_off(self, timeout: float = 60) -> None:
        """Wait until the node has shut itself down."""
        wait_for(lambda: not self.is_on(), f"{self.name} to power off", timeout)

    def wait_booted(self, timeout: float = 60) -> Node:
        """Wait until systemd says `running`, or `degraded`: see `systemctl --failed` then."""
        deadline = time.monotonic() + timeout
        state = "nothing"
        while state not in _BOOTED:
            if not self.is_on():
                raise FleetError(f"{self.name} is off; its console: {self.console()[-2000:] or 'silent'}")
            if time.monotonic() > deadline:
                raise FleetError(f"{self.name} did not boot in {timeout:g} s: systemd says {state}")
            state = self._system_state(deadline - time.monotonic())
        return self

    def freeze(self) -> None:
        """Hang: every process of the node stops where it stands; its connections stay open and silent."""
        self._cgroup.freeze(frozen=True)

    def thaw(self) -> None:
        """Let a frozen node go on."""
        self._cgroup.freeze(frozen=False)

    # ---- cable

    def link_down(self) -> None:
        """Partition: pull the node's cable. It stays pulled across reboots and power cuts."""
        self._plugged = False
        set_link(self._link, up=False)

    def link_up(self) -> None:
        """Plug the cable in again."""
        self._plugged = True
        set_link(self._link, up=True)

    # ---- reaching in

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 60,
        check: bool = True,
        stdin: bytes | str = b"",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the node as root, in `/`, with a minimal environment.

        With `check`, FleetError for an exit code other than 0. After `timeout` seconds the program and its children
        are killed, and TimeoutExpired is raised.
        """
        done = self._run(argv, timeout, stdin.encode() if isinstance(stdin, str) else stdin, env or {})
        stdout, stderr = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
        result = subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr)
        if check and result.returncode:
            said = f"{stderr.strip()} {stdout.strip()}".strip()
            raise FleetError(f"{self.name}: `{' '.join(argv)}` ended with {result.returncode}: {said}")
        return result

    def attach(self, argv: Sequence[str]) -> int:
        """Run a program in the node on this process's terminal, for a person; its exit code."""
        return inside.attach(self._leader(), self._hierarchy, argv)

    def read(self, path: str) -> bytes:
        """The content of a file in the node."""
        done = self._run(["cat", "--", path], 60, b"", {})
        if done.returncode:
            raise FleetError(f"{self.name}: {done.stderr.decode().strip()}")
        return done.stdout

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a directory of the host to `target` in the node, owned by root; makes missing parents."""
        self._unpack(target, lambda archive, name: archive.add(source, arcname=name, filter=_owned_by_root))

    def write(self, target: str, content: bytes | str, mode: int = 0o644) -> None:
        """Write a file in the node, owned by root; makes missing parents."""
        data = content.encode() if isinstance(content, str) else content

        def add(archive: tarfile.TarFile, name: str) -> None:
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, int(time.time())
            archive.addfile(member, io.BytesIO(data))

        self._unpack(target, add)

    def boot_id(self) -> str:
        """The kernel's name for this boot of the node; another one after a reboot."""
        return self.read("/proc/sys/kernel/random/boot_id").decode().strip()

    def journal(self, *options: str) -> str:
        """The node's journal, all boots; `options` are journalctl's."""
        return self.run(["journalctl", "--no-pager", "--output=short-precise", *options]).stdout

    def console(self) -> str:
        """What the node printed on its console, all boots; readable when it is off, too."""
        log = self._directory / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    @property
    def root(self) -> Path:
        """The node's files as it has them, reached from this host without a process in the node."""
        return Path(f"/proc/{self._leader()}/root")

    # ----

    def _run(
        self, argv: Sequence[str], timeout: float, stdin: bytes, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        return inside.execute(self._leader(), self._hierarchy, argv, stdin, env, timeout)

    def _leader(self) -> int:
        pid_1 = inside.leader(self._cgroup)
        if pid_1 is None:
            raise FleetError(f"{self.name} is off: it has no process 1")
        return pid_1

    def _system_state(self, timeout: float) -> str:
        """One word of systemd's; `nothing` before it listens. Waits for systemd to be done with booting, if it can."""
        try:
            done = self._run(["systemctl", "is-system-running", "--wait"], timeout, b"", {})
        except (FleetError, OSError, subprocess.TimeoutExpired):
            done = None
        state = done.stdout.decode().strip() if done else ""
        if state not in _BOOTED:
            time.sleep(0.02)
        return state or "nothing"

    def _unpack(self, target: str, fill: Callable[[tarfile.TarFile, str], None]) -> None:
        parent, _, name = target.rpartition("/")
        if not parent.startswith("/") and target != f"/{name}":
            raise FleetError(f"{target}: a path in a node is absolute")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            fill(archive, name)
        script = 'mkdir -p -- "$1" && exec tar -xpf - -C "$1"'
        self.run(["sh", "-c", script, "-", parent or "/"], stdin=buffer.getvalue())

    def _unplug_for_good(self) -> None:
        """The cable goes with the node's network namespace, but not at once."""
        delete(self._link)

    def _make_disk(self) -> None:
        """The upper layer over the rootfs, with what makes this node itself."""
        for layer in ("lower", "upper", "work", "root"):
            (self._directory / layer).mkdir(parents=True)
        files = {
            "hostname": f"{self.name}\n",
            "hosts": f"127.0.0.1 localhost\n{self.address} {self.name}\n{self.host_address} control\n",
            "machine-id": f"{uuid.uuid4().hex}\n",
            "apt/sources.list": packages.SOURCES_LIST if self.spec.repository else "",
        }
        for name, text in files.items():
            path = self._directory / "upper" / "etc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if self.spec.repository:
            (self._directory / "upper" / packages.IN_NODE.strip("/")).mkdir(parents=True)
        if self.spec.python:
            first_on_path = self._directory / "upper" / "usr/local/bin/python3"
            first_on_path.parent.mkdir(parents=True)
            first_on_path.symlink_to(self.spec.python / "bin/python3")


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
