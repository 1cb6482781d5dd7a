"""Reaching into a running node without a network: a process of the host enters the namespaces of the node's PID 1.

The clock, kernel modules and much else have no namespace: what keeps a node's root from changing the host's is the
capabilities it lacks. So a command here first gives up every capability that the node's PID 1 does not have.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.fleet.cgroup import Cgroup
from tests.fleet.commands import FleetError

# Under --no-fork this shell stays outside the node's process ids and its child is inside. nsenter's own fork would not
# do: a node that shuts down stops all its processes for a moment, nsenter stops with its child, and nobody wakes it.
_FORK = '"$@"; exit $?'
_JOIN = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "SHELL": "/bin/sh",
}
_serial = itertools.count(1)


def leader(power: Cgroup) -> int | None:
    """The host's process id of the node's systemd; None while there is none (systemd-nspawn may still prepare it)."""
    for pid in power.processes():
        try:
            pids = _status(pid, "NSpid").split()
            if len(pids) == 2 and pids[1] == "1" and Path(f"/proc/{pid}/exe").readlink().name == "systemd":
                return pid
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


def withheld_capabilities(pid_1: int) -> list[str]:
    """The capabilities that the node does not have, in the words of setpriv(1)."""
    bounding = int(_status(pid_1, "CapBnd"), 16)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    return [f"cap_{number}" for number in range(last + 1) if not bounding >> number & 1]


def _status(pid: int, key: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{key}:")), "")


def execute(
    pid_1: int, hierarchy: Path, argv: Sequence[str], stdin: bytes, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[bytes]:
    """Run `argv` beside `pid_1`, in a cgroup of its own within the node's, which also ends it at the timeout."""
    cgroup = _command_cgroup(pid_1, hierarchy)
    process = subprocess.Popen(
        _enter(pid_1, cgroup, argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_ENVIRONMENT | dict(env),
    )
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout)
        except BaseException:
            cgroup.kill()
            process.kill()
            _tidy_up(pid_1, cgroup)
            raise
    _tidy_up(pid_1, cgroup)
    return subprocess.CompletedProcess(list(argv), process.returncode, stdout, stderr)


def attach(pid_1: int, hierarchy: Path, argv: Sequence[str]) -> int:
    """Run `argv` beside `pid_1` on this process's own terminal or pipes; its exit code."""
    cgroup = _command_cgroup(pid_1, hierarchy)
    env = _ENVIRONMENT | {"TERM": os.environ.get("TERM", "dumb")}
    code = subprocess.call(_enter(pid_1, cgroup, argv), env=env)
    _tidy_up(pid_1, cgroup)
    return code


def _enter(pid_1: int, cgroup: Cgroup, argv: Sequence[str]) -> list[str]:
    withheld = ",".join(f"-{capability}" for capability in withheld_capabilities(pid_1))
    if not withheld:  # never so under systemd-nspawn; and then nothing would protect the host
        raise FleetError("the node has every capability of the host; refusing to run anything in it")
    limit = ("setpriv", f"--bounding-set={withheld}", "--inh-caps=-all", "--")
    namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
    enter = ("nsenter", f"--target={pid_1}", *namespaces, "--no-fork", "--", "/bin/sh", "-c", _FORK, "-")
    return ["sh", "-c", _JOIN, "-", str(cgroup.directory), *limit, *enter, *argv]


def _command_cgroup(pid_1: int, hierarchy: Path) -> Cgroup:
    """A new group beside the node's `system.slice`: frozen and killed with the node, and not a unit of its systemd."""
    paths = Path(f"/proc/{pid_1}/cgroup").read_text().splitlines()
    own = next(line.removeprefix("0::") for line in paths if line.startswith("0::"))
    payload = hierarchy / own.strip("/").removesuffix("init.scope")
    return Cgroup(payload / "from-host" / f"{os.getpid()}-{next(_serial)}").make()


def _tidy_up(pid_1: int, cgroup: Cgroup) -> None:
    """What the program left running in the background keeps its group, and ends with the node."""
    with suppress(OSError):
        cgroup.directory.rmdir()
    # A node that shuts down waits for every process it has seen, and hears only of the end of its own children.
    with suppress(ProcessLookupError):
        os.kill(pid_1, signal.SIGCHLD)
