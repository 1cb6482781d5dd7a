"""Installation: the program unpacked under its version, `current` pointing at it, and a systemd unit.

/opt/opsctl/VERSION/    the program of one version, compiled for this Python
/opt/opsctl/current     a link to the version in use, replaced in one step
/var/lib/amazon/ssm     empty: what SSM's documents take for granted

An ordinary user's agent lies beneath `~/.local/share/opsctl`, with a unit of the user's own systemd.
"""

from __future__ import annotations

import compileall
import contextlib
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from typing import Callable, List

import agent
from agent import durable
from agent.contract.canonical import digest
from agent.contract.record import NamedTuple
from agent.limits import MEMORY

SERVICE = "opsctl-agent.service"
DOCUMENTS_EXPECT = "/var/lib/amazon/ssm"
"""Public documents write their files there, for it is on every node of SSM's."""
_DIGEST = "archive.digest"
_DIRECTORY, _FILE = 0o755, 0o644
"""A program is for everyone to read, and for nobody but root to change."""

_UNIT_TEXT = """\
# Written by `agent.pyz install`; a change here is overwritten by the next one (use a drop-in).
[Unit]
Description=opsctl agent
ConditionPathExists={state}/identity.json
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={python} -I -S {home}/current serve --state {state}{how}
Restart=always
RestartSec=5

# The server has better things to do. Scripts and packages are run at this pace too; services are not started by it.
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
MemoryMax={memory}

# Jobs run in scopes of their own; what they left in the agent's outlives the agent too.
KillMode=process
TimeoutStopSec=75
OOMPolicy=continue

# Sandboxing options are inherited by every job, and a job may have to do anything that root may. So the agent is kept
# small instead: it listens on nothing, and runs Python without its environment and site packages (-I -S).

[Install]
WantedBy={wanted_by}
"""


class Layout(NamedTuple):
    """Where an installation lies on its node, and how systemd is told of it."""

    home: str
    unit: str
    systemctl: List[str]
    wanted_by: str
    of_user: bool
    service: str = SERVICE


SYSTEM = Layout(
    "/opt/opsctl", "/etc/systemd/system/opsctl-agent.service", ["systemctl"], "multi-user.target", of_user=False
)


def of_user() -> Layout:
    """An ordinary user's own."""
    home = os.path.expanduser("~")
    unit = os.path.join(home, ".config/systemd/user", SERVICE)
    return Layout(
        os.path.join(home, ".local/share/opsctl"), unit, ["systemctl", "--user"], "default.target", of_user=True
    )


class InstallFailed(Exception):
    """Nothing half-done is in use; the message says what stood in the way."""


class Installed(NamedTuple):
    """What came of it: sentences about what changed, and whether a service runs it."""

    version: str
    changes: List[str]
    started: bool


Run = Callable[[List[str]], None]


def install(
    layout: Layout = SYSTEM, root: str = "/", state: str = agent.DEFAULT_STATE, start: bool = True
) -> Installed:
    """Install this very program. Repeated, it does nothing. With another `root` nothing is started.

    Raises InstallFailed, OSError.
    """
    changes = unpack(_archive(), layout, root)
    changes += _write_unit(layout, root, state)
    if not layout.of_user:
        changes += _make_room_for_documents(root)
    started = start and root == "/" and managed(layout)
    if started:
        _start(bool(changes), runner(layout))
    return Installed(agent.__version__, changes, started)


def unpack(archive: str, layout: Layout, root: str) -> List[str]:
    """Unpack an archive under its version and point `current` at it; what changed."""
    home = beneath(root, layout.home)
    os.makedirs(home, mode=_DIRECTORY, exist_ok=True)
    with open(archive, "rb") as file:
        wanted = digest(file.read())
    version = os.path.join(home, agent.__version__)
    changes = []
    if durable.read(os.path.join(version, _DIGEST)) != wanted.encode():
        _replace_tree(archive, wanted, version)
        changes.append("unpacked %s" % os.path.join(layout.home, agent.__version__))
    if point(os.path.join(home, "current"), agent.__version__):
        changes.append("%s/current is %s" % (layout.home, agent.__version__))
    return changes


def unit_text(state: str, python: str, layout: Layout = SYSTEM) -> str:
    """The unit. Its paths are those on the node, whatever the root."""
    how = " --non-root" if layout.of_user else ""
    words = {"home": layout.home, "wanted_by": layout.wanted_by, "memory": MEMORY, "how": how}
    return _UNIT_TEXT.format(state=state, python=python, **words)


def managed(layout: Layout) -> bool:
    """Whether a systemd is here that would run it."""
    return os.path.isdir("/run/user/%d/systemd" % os.geteuid() if layout.of_user else "/run/systemd/system")


def runner(layout: Layout) -> Run:
    """How to say something to systemd; the call raises InstallFailed where it does not do it."""

    def run(arguments: List[str]) -> None:
        argv = [*layout.systemctl, *arguments]
        environment = dict(os.environ)
        environment.setdefault("XDG_RUNTIME_DIR", "/run/user/%d" % os.geteuid())
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip()
            raise InstallFailed("`%s` failed: %s" % (" ".join(argv), said or "exit %d" % done.returncode))

    return run


def _archive() -> str:
    """The zip file that this program runs from."""
    path = os.path.dirname(os.path.dirname(os.path.abspath(agent.__file__)))
    if not zipfile.is_zipfile(path):
        raise InstallFailed("this is not agent.pyz but %s; run `python3 agent.pyz install`" % path)
    return path


def _replace_tree(archive: str, wanted: str, version: str) -> None:
    new, old = "%s.new-%d" % (version, os.getpid()), "%s.old-%d" % (version, os.getpid())
    shutil.rmtree(new, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(new)
    for directory, _, names in os.walk(new):
        os.chmod(directory, _DIRECTORY)
        for name in names:
            os.chmod(os.path.join(directory, name), _FILE)
    if not compileall.compile_dir(new, ddir=version, quiet=2):
        shutil.rmtree(new)
        raise InstallFailed("the program does not compile with this Python (%s)" % sys.version.split()[0])
    durable.replace(os.path.join(new, _DIGEST), wanted.encode(), mode=_FILE)
    if os.path.lexists(version):
        os.rename(version, old)
    os.rename(new, version)
    durable.sync_directory(os.path.dirname(version))
    shutil.rmtree(old, ignore_errors=True)


def point(link: str, target: str) -> bool:
    """Let a link point at `target`, in one step; whether it did not before."""
    with contextlib.suppress(FileNotFoundError):
        if os.readlink(link) == target:
            return False
    beside = "%s.new-%d" % (link, os.getpid())
    os.symlink(target, beside)
    os.rename(beside, link)
    durable.sync_directory(os.path.dirname(link))
    return True


def _write_unit(layout: Layout, root: str, state: str) -> List[str]:
    path = beneath(root, layout.unit)
    text = unit_text(state, sys.executable if root == "/" else "/usr/bin/python3", layout).encode()
    if durable.read(path) == text:
        return []
    os.makedirs(os.path.dirname(path), exist_ok=True)
    durable.replace(path, text, mode=0o644)
    return ["wrote %s" % layout.unit]


def _make_room_for_documents(root: str) -> List[str]:
    path = beneath(root, DOCUMENTS_EXPECT)
    if os.path.isdir(path):
        return []
    os.makedirs(path, mode=0o700)
    return ["made %s" % DOCUMENTS_EXPECT]


def _start(changed: bool, run: Run) -> None:
    """Let systemd run it: now and at boot. An agent that runs already is restarted when it changed."""
    if changed:
        run(["daemon-reload"])
    run(["enable", "--quiet", SERVICE])
    run(["restart" if changed else "start", SERVICE])


def beneath(root: str, path: str) -> str:
    """`path` under `root`, which must not be left through a link."""
    os.makedirs(root, exist_ok=True)
    whole = os.path.join(os.path.abspath(root), path.lstrip("/"))
    parent = os.path.dirname(whole)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if os.path.commonpath([os.path.realpath(parent), os.path.realpath(root)]) != os.path.realpath(root):
        raise InstallFailed("%s leads out of %s" % (whole, root))
    if os.path.lexists(whole) and stat.S_ISLNK(os.lstat(whole).st_mode):
        raise InstallFailed("%s is a link" % whole)
    return whole
