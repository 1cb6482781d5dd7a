"""Releases: who may sign them, how a machine moves to one, and how it comes back."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent
from agent.contract import sshsig
from agent.install import SYSTEM, InstallFailed
from agent.upgrade import Installation, UpgradeRefused, check_order, installation, release, switch
from tests.agent import program
from tests.agent.gateway import Gateway
from tests.agent.pki import ControllerKey
from tests.agent.program import until
from tests.agent.rig import script
from tests.fleet import Node
from tests.fleet.fixtures import NodeFactory

NEWER = "99.0.1"


def archive_of(out: Path, version: str, *, broken: bool = False) -> Path:
    """The archive of this checkout under another version; a broken one does nothing as a service."""
    with zipfile.ZipFile(program.archive()) as packed, zipfile.ZipFile(out, "w") as made:
        for name in packed.namelist():
            data = packed.read(name)
            if name == "agent/__init__.py":
                data = re.sub(rb'__version__ = ".*"', f'__version__ = "{version}"'.encode(), data)
            elif name == "agent/serve.py" and broken:
                data += b"\n\ndef serve(*_):\n    raise SystemExit('this one is no good')\n"
            made.writestr(name, data)
    return out


def sign(file: Path, key: ControllerKey, namespace: str = sshsig.RELEASE) -> Path:
    signed = key.sign(namespace, file.read_bytes())
    sig = file.with_name(file.name + ".sig")
    sig.write_text(sshsig.armoured(base64.b64decode(signed.sig)))
    return sig


# Who may sign


@pytest.fixture
def key() -> ControllerKey:
    return ControllerKey()


def public(key: ControllerKey) -> bytes:
    return sshsig.public_of_text(key.text)


def test_a_release_is_what_the_controller_key_signed(tmp_path: Path, key: ControllerKey) -> None:
    file = archive_of(tmp_path / "new.pyz", NEWER)
    sign(file, key)
    found = release(str(file), public(key))
    assert (found.version, found.data) == (NEWER, file.read_bytes())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("missing", "new.pyz.sig does not exist; `opsctl agent sign new.pyz` makes it"),
        ("changed", "it does not hold for this file"),
        ("namespace", "it is for 'opsctl-report@v1', not for 'opsctl-release@v1'"),
        ("key", "it is by another key"),
        ("garbage", "not an SSH signature"),
        ("archive", "is not an agent.pyz"),
        ("absent", "new.pyz does not exist"),
    ],
)
def test_nothing_else_is_taken(tmp_path: Path, key: ControllerKey, spoil: str, said: str) -> None:
    file = archive_of(tmp_path / "new.pyz", NEWER)
    if spoil == "archive":
        file.write_bytes(b"not a zip")
    sig = sign(
        file, ControllerKey() if spoil == "key" else key, sshsig.REPORT if spoil == "namespace" else sshsig.RELEASE
    )
    if spoil == "missing":
        sig.unlink()
    elif spoil == "changed":
        file.write_bytes(file.read_bytes() + b"\n")
    elif spoil == "garbage":
        sig.write_bytes(b"\x00" * 100)
    elif spoil == "absent":
        file.unlink()
    with pytest.raises(UpgradeRefused) as caught:
        release(str(file), public(key))
    assert said in str(caught.value)


def test_ssh_keygen_reads_the_signature(tmp_path: Path, key: ControllerKey) -> None:
    file = archive_of(tmp_path / "new.pyz", NEWER)
    command = ["ssh-keygen", "-Y", "check-novalidate", "-n", sshsig.RELEASE, "-s", str(sign(file, key))]
    with file.open("rb") as data:
        done = subprocess.run(command, stdin=data, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_older_and_equal_versions_are_refused() -> None:
    check_order("0.10.0", "0.9.1", allow_downgrade=False)
    check_order("0.9.1", "0.10.0", allow_downgrade=True)
    with pytest.raises(UpgradeRefused, match=r"version 0\.9\.1 is older than 0\.10\.0; --allow-downgrade"):
        check_order("0.9.1", "0.10.0", allow_downgrade=False)
    with pytest.raises(UpgradeRefused, match="in use already"):
        check_order("0.9.1", "0.9.1", allow_downgrade=True)


# The switch, without systemd


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    root, state = tmp_path / "root", tmp_path / "state"
    root.mkdir()
    (state / "status").mkdir(parents=True)
    done = program.run(program.THIS, "install", "--root", str(root), "--state", str(state))
    assert done.returncode == 0, done.stderr
    return installation(SYSTEM, str(state), str(root), lambda arguments: None)


def said_hello(here: Installation, version: str) -> None:
    value = {"state": "connected", "version": version}
    (Path(here.state) / "status" / "link.json").write_text(json.dumps(value))


def current(here: Installation) -> str:
    return str((Path(here.home) / "current").readlink())


def test_it_stays_where_the_server_acknowledges_it(tmp_path: Path, key: ControllerKey, here: Installation) -> None:
    said: list[str] = []
    for number, version in enumerate(["99.0.1", "99.0.2", "99.0.3", "99.0.4"]):
        file = archive_of(tmp_path / "new.pyz", version)
        sign(file, key)
        told: list[list[str]] = []
        now = installation(SYSTEM, here.state, here.root, told.append)
        hello = threading.Timer(0.3 + number / 10, said_hello, (here, version))
        hello.start()
        assert switch(now, release(str(file), public(key)), 20, said.append)
        hello.join()
        assert current(here) == version
        assert told == [["daemon-reload"], ["restart", "opsctl-agent.service"]]
    left = sorted(path.name for path in Path(here.home).iterdir() if path.name != "current")
    assert left == ["99.0.2", "99.0.3", "99.0.4"]
    assert [path.name for path in Path(here.state).iterdir()] == ["status"]


def test_it_goes_back_where_nobody_answers(tmp_path: Path, key: ControllerKey, here: Installation) -> None:
    said_hello(here, agent.__version__)
    unit = Path(here.unit)
    unit.write_text(unit.read_text() + "# of the old version\n")
    file = archive_of(tmp_path / "new.pyz", NEWER)
    sign(file, key)
    said: list[str] = []
    assert not switch(here, release(str(file), public(key)), 0.3, said.append)
    assert current(here) == agent.__version__
    assert "# of the old version" in unit.read_text()
    assert f"the server did not acknowledge version {NEWER}" in said[-1]


def test_it_goes_back_where_systemd_cannot_start_it(tmp_path: Path, key: ControllerKey, here: Installation) -> None:
    tries: list[list[str]] = []

    def systemctl(arguments: list[str]) -> None:
        tries.append(arguments)
        if len(tries) == 2:
            raise InstallFailed("`systemctl restart` failed: no")

    file = archive_of(tmp_path / "new.pyz", NEWER)
    sign(file, key)
    assert not switch(here._replace(systemctl=systemctl), release(str(file), public(key)), 5)
    assert (current(here), len(tries)) == (agent.__version__, 4)


def test_without_an_installation_there_is_nothing_to_upgrade(tmp_path: Path) -> None:
    with pytest.raises(UpgradeRefused, match="no agent is installed"):
        installation(SYSTEM, "/nowhere", str(tmp_path))


# On a real node


@pytest.fixture
def node(node_factory: NodeFactory) -> Node:
    (made,) = node_factory("web-1")
    return made


@pytest.fixture
def gateway(tmp_path: Path, node: Node) -> Iterator[Gateway]:
    with Gateway(tmp_path, address=node.host_address) as running:
        yield running


@pytest.mark.realnode
def test_a_node_moves_to_a_newer_version_and_back_from_a_bad_one(gateway: Gateway, node: Node, tmp_path: Path) -> None:
    node.put(program.archive(), "/root/agent.pyz")
    node.run(["python3", "/root/agent.pyz", "enroll", "--token-file", "-"], stdin=gateway.token())
    node.run(["python3", "/root/agent.pyz", "install"])
    gateway.wait(lambda: len(gateway.hellos) == 1, "the agent's hello")

    def upgrade(version: str, *more: str, broken: bool = False) -> subprocess.CompletedProcess[str]:
        file = archive_of(tmp_path / f"{version}.pyz", version, broken=broken)
        node.put(sign(file, gateway.controller), f"/root/{version}.pyz.sig")
        node.put(file, f"/root/{version}.pyz")
        command = ["python3", "/opt/opsctl/current", "upgrade", f"/root/{version}.pyz", *more]
        return node.run(command, check=False)

    slow = script("echo begun >>/root/runs; while [ ! -e /root/go ]; do sleep 0.1; done")
    gateway.want(1, [slow], interval=1)
    until(lambda: node.run(["cat", "/root/runs"], check=False).stdout == "begun\n", "a script's start")
    done = upgrade("98.0.0")
    assert (done.returncode, gateway.hellos[-1].agent_version) == (0, "98.0.0"), done.stderr
    assert done.stdout.endswith("version 98.0.0 is in use\n")
    node.write("/root/go", "")
    gateway.wait(lambda: len(gateway.reports) > 0, "the report of the script that ran meanwhile")
    assert (gateway.reports[0].status, gateway.reports[0].agent_version) == ("Success", "98.0.0")
    assert node.read("/root/runs") == b"begun\n"
    bad = upgrade("99.0.0", "--wait", "3", broken=True)
    assert (bad.returncode, "version 98.0.0 is in use again" in bad.stderr) == (1, True)
    until(lambda: len(gateway.hellos) == 3, "the old one's hello")
    assert gateway.hellos[-1].agent_version == "98.0.0"
    older = upgrade("97.0.0")
    assert (older.returncode, "--allow-downgrade" in older.stderr) == (1, True)
    assert node.run(["readlink", "/opt/opsctl/current"]).stdout == "98.0.0\n"


@pytest.mark.realnode
def test_the_watch_outlives_whoever_asked_for_it(gateway: Gateway, node: Node, tmp_path: Path) -> None:
    node.put(program.archive(), "/root/agent.pyz")
    node.run(["python3", "/root/agent.pyz", "enroll", "--token-file", "-"], stdin=gateway.token())
    node.run(["python3", "/root/agent.pyz", "install"])
    gateway.wait(lambda: len(gateway.hellos) == 1, "the agent's hello")
    file = archive_of(tmp_path / "bad.pyz", NEWER, broken=True)
    node.put(sign(file, gateway.controller), "/root/bad.pyz.sig")
    node.put(file, "/root/bad.pyz")
    command = "python3 /opt/opsctl/current upgrade /root/bad.pyz --wait 6 >/dev/null 2>&1 & echo $! >/root/pid"
    node.run(["sh", "-c", command])

    def in_use() -> str:
        return node.run(["readlink", "/opt/opsctl/current"]).stdout.strip()

    until(lambda: in_use() == NEWER, "the switch")
    node.run(["sh", "-c", "kill -9 $(cat /root/pid)"])
    until(lambda: in_use() == agent.__version__, "the way back")
    gateway.wait(lambda: len(gateway.hellos) == 2, "the old one's hello")
    assert gateway.hellos[-1].agent_version == agent.__version__
