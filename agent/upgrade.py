"""A newer agent in place of this one: checked, put beside it, switched to, and left again where it does not do.

    FILE and FILE.sig -> HOME/VERSION -> current -> restart -> a hello that the server acknowledged, or else back

Whoever holds the controller key that this node pinned can sign a release (`opsctl agent sign`), and nobody else. The
switch is made, watched and undone by a process of its own, which the restart and the end of a terminal do not touch.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from typing import Callable, List, Optional

from agent import durable
from agent.contract import sshsig
from agent.contract.record import NamedTuple
from agent.contract.versions import compare_dpkg
from agent.crypto import verify
from agent.install import InstallFailed, Layout, Run, beneath, point, runner
from agent.state import status

PATIENCE = 120.0
"""Seconds within which the server must have acknowledged the new agent's hello."""
KEPT = 3
"""Versions that stay unpacked, the one in use included."""
_ARCHIVE_LIMIT = 32 * 1024 * 1024
_VERSION = re.compile(rb'^__version__ = "([0-9][0-9A-Za-z.+~-]{0,63})"$', re.MULTILINE)


class UpgradeRefused(Exception):
    """Nothing was changed; the message says why, and what to do."""


class Release(NamedTuple):
    """An archive that the controller key has signed."""

    version: str
    data: bytes


class Installation(NamedTuple):
    """What is installed: where, on which state, and how its init system is told. `version` is the one in use."""

    layout: Layout
    root: str
    state: str
    version: str
    systemctl: Run

    @property
    def home(self) -> str:
        return beneath(self.root, self.layout.home)

    @property
    def unit(self) -> str:
        return beneath(self.root, self.layout.unit)


def installation(layout: Layout, state: str, root: str = "/", systemctl: Optional[Run] = None) -> Installation:
    """Raises UpgradeRefused where nothing is installed."""
    try:
        version = os.readlink(os.path.join(beneath(root, layout.home), "current"))
    except OSError:
        raise UpgradeRefused("no agent is installed in %s; run `python3 FILE install`" % layout.home) from None
    return Installation(layout, root, state, version, systemctl or runner(layout))


def release(path: str, public: bytes) -> Release:
    """The archive, once its signature by `public` holds. Raises UpgradeRefused, OSError."""
    data, armoured = durable.read(path, _ARCHIVE_LIMIT), durable.read(path + ".sig", 64 * 1024)
    if data is None:
        raise UpgradeRefused("%s does not exist" % path)
    if armoured is None:
        raise UpgradeRefused("%s.sig does not exist; `opsctl agent sign %s` makes it" % (path, os.path.basename(path)))
    try:
        parts = sshsig.parts(sshsig.dearmoured(armoured.decode("ascii", "replace")))
        if parts.public != public:
            raise sshsig.BadSignature("it is by another key (%s)" % sshsig.public_text(parts.public))
        if parts.namespace != sshsig.RELEASE:
            raise sshsig.BadSignature("it is for %r, not for %r" % (parts.namespace, sshsig.RELEASE))
        if not verify(public, sshsig.message_to_sign(data, sshsig.RELEASE), parts.signature):
            raise sshsig.BadSignature("it does not hold for this file")
    except sshsig.BadSignature as error:
        raise UpgradeRefused("the signature of %s is refused: %s" % (path, error)) from error
    return Release(_version(path, data), data)


def check_order(wanted: str, present: str, allow_downgrade: bool) -> None:
    """Raises UpgradeRefused for what is no step forward."""
    order = compare_dpkg(wanted, present)
    if order == 0:
        raise UpgradeRefused("version %s is in use already" % present)
    if order < 0 and not allow_downgrade:
        raise UpgradeRefused("version %s is older than %s; --allow-downgrade permits it" % (wanted, present))


def switch(
    here: Installation, wanted: Release, patience: float = PATIENCE, say: Callable[[str], None] = lambda _: None
) -> bool:
    """Put the release in use; whether it stays. Raises InstallFailed, OSError where nothing was changed for good."""
    unit, beside = durable.read(here.unit), os.path.join(here.state, "upgrade.pyz")
    durable.replace(beside, wanted.data)
    try:
        _installed(here, beside)
        here.systemctl(["daemon-reload"])
        here.systemctl(["restart", here.layout.service])
        say("version %s runs; waiting for the server to acknowledge it" % wanted.version)
        if _acknowledged(here.state, wanted.version, patience):
            _prune(here, wanted.version)
            return True
        say("the server did not acknowledge version %s within %d s" % (wanted.version, patience))
    except (InstallFailed, OSError) as error:
        say("version %s cannot be run: %s" % (wanted.version, error))
    finally:
        with contextlib.suppress(OSError):
            os.unlink(beside)
    _back(here, unit)
    return False


def watched(work: Callable[[Callable[[str], None]], bool]) -> int:
    """Do the work in a process that outlives this one and its terminal, saying what it says; the exit code."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os._exit(_apart(writer, work))
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as said:
        for line in said:
            print(line, end="", flush=True)
    _, ended = os.waitpid(pid, 0)
    return os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else 1


def _apart(writer: int, work: Callable[[Callable[[str], None]], bool]) -> int:
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)

    def say(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(writer, text.encode("utf-8", "replace") + b"\n")

    try:
        return 0 if work(say) else 1
    except Exception as error:
        say("the upgrade failed: %s" % error)
        return 1


def _installed(here: Installation, archive: str) -> None:
    """The new program unpacks itself and writes its own unit; nothing is started yet."""
    argv = [sys.executable, "-I", archive, "install", "--no-start", "--state", here.state, "--root", here.root]
    if here.layout.of_user:
        argv.append("--non-root")
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise InstallFailed(done.stdout.decode("utf-8", "replace").strip() or "exit %d" % done.returncode)


def _acknowledged(state: str, version: str, patience: float) -> bool:
    """Whether an agent of this version comes to be connected in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        link = status.read(state, "link.json")
        if link.get("state") == "connected" and link.get("version") == version:
            return True
        time.sleep(0.2)
    return False


def _back(here: Installation, unit: Optional[bytes]) -> None:
    point(os.path.join(here.home, "current"), here.version)
    if unit is not None:
        durable.replace(here.unit, unit, mode=0o644)
    here.systemctl(["daemon-reload"])
    here.systemctl(["restart", here.layout.service])


def _prune(here: Installation, wanted: str) -> None:
    """Keep the version in use, the one before it, and the newest of the others."""
    found: List[str] = []
    for name in os.listdir(here.home):
        path = os.path.join(here.home, name)
        if os.path.isdir(path) and not os.path.islink(path) and name not in (wanted, here.version):
            found.append(path)
    found.sort(key=os.path.getmtime, reverse=True)
    for path in found[KEPT - 2 :]:
        shutil.rmtree(path, ignore_errors=True)


def _version(path: str, data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            found = _VERSION.search(packed.read("agent/__init__.py"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise UpgradeRefused("%s is not an agent.pyz: %s" % (path, error)) from error
    if found is None:
        raise UpgradeRefused("%s does not say which version it is" % path)
    return found.group(1).decode("ascii")
