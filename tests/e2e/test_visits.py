"""Machines that the server visits, with everything real but the SSH server, which is paramiko's: a daemon, its command
line, agents that are started over SSH and find a directory where their machine should be.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from tests.adapters.ssh.host import Host, new_key
from tests.agent import program
from tests.e2e.scene import Scene
from tests.stage import until

NAMES = ("shop-1", "shop-2", "shop-3")
DOCUMENT = """\
schemaVersion: "2.2"
mainSteps:
- name: motd
  action: ops:file
  inputs: {path: /etc/motd, content: "%s"}
"""
ASSOCIATION = """\
apiVersion: ops/v1
kind: Association
metadata: {name: motd}
spec:
  document: motd
  targets: ["*"]
  maxConcurrency: "100%"
  maxErrors: "100%"
"""
FLEET = """\
apiVersion: ops/v1
kind: Fleet
metadata: {name: shops}
spec: {polling: {interval: 1}}
"""


class Street(Scene):
    """A scene whose machines are visited."""

    def __init__(self, directory: Path) -> None:
        self.hosts: dict[str, Host] = {}
        key = new_key(directory / "id_ed25519")
        self.client_key: paramiko.PKey = key
        server = {"ssh": {"identities": {"default": {"file": str(directory / "id_ed25519")}}, "connectTimeout": 5}}
        files = {"fleet.yaml": FLEET, "documents/motd.yaml": DOCUMENT % "hello", "associations/motd.yaml": ASSOCIATION}
        super().__init__(directory, files, server)

    def settle_down(self, name: str) -> Host:
        """A host of this name, that nobody has heard of."""
        (self.directory / name).mkdir()
        host = self.hosts[name] = self._ends.enter_context(Host(self.directory / name, self.client_key))
        return host

    def node(self, name: str, **ssh: Any) -> dict[str, str]:
        """Its Node file, by path."""
        host = self.hosts[name]
        given = {"host": "127.0.0.1", "port": host.port, "hostKeys": [host.host_key], **ssh}
        spec = {"transport": "ssh", "ssh": given}
        return {f"nodes/{name}.yaml": self.manifest(name, spec)}

    def manifest(self, name: str, spec: dict[str, Any]) -> str:
        return json.dumps({"apiVersion": "ops/v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})

    def motd(self, name: str) -> str:
        return (self.hosts[name].root / "etc/motd").read_text()


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with Street(tmp_path_factory.mktemp("s")) as street:
        files: dict[str, str] = {}
        for name in NAMES:
            street.settle_down(name)
            files |= street.node(name)
        street.push("The shops", files)
        yield street


def test_an_apply_finds_them_makes_them_nodes_and_brings_them_what_git_says(street: Street) -> None:
    found = street.apply()
    assert (found["failed"], found["offline"]) == (0, 0)
    assert all(street.motd(name) == "hello" for name in NAMES)
    rows = street.daemon.nodes()
    assert [(rows[name]["state"], rows[name]["compliance"]) for name in NAMES] == [("Online", "COMPLIANT")] * 3


def test_drift_is_found_and_healed_by_the_next_apply(street: Street) -> None:
    (street.hosts["shop-1"].root / "etc/motd").write_text("mine")
    street.apply()
    assert street.motd("shop-1") == "hello"


def test_a_change_is_brought_without_anybody_asking(street: Street) -> None:
    street.push("Politer", {"documents/motd.yaml": DOCUMENT % "good day"})
    until("the change to arrive", lambda: all(street.motd(name) == "good day" for name in NAMES), 60)


def test_a_document_that_is_run_once_is_brought_and_its_end_told(street: Street) -> None:
    file = street.directory / "once.yaml"
    file.write_text(DOCUMENT.replace("/etc/motd", "/etc/once") % "once")
    said = street.opsctl("document", "run", str(file), "--targets", "shop-1", "--targets", "shop-1")
    assert "Success: 1 of 1 done" in said
    assert (street.hosts["shop-1"].root / "etc/once").read_text() == "once"


def test_one_that_cannot_be_reached_stalls_nobody_and_people_see_why(street: Street) -> None:
    port = street.hosts["shop-2"].port
    street.push("Nobody is there", street.node("shop-2", port=1))
    street.push("Louder", {"documents/motd.yaml": DOCUMENT % "GOOD DAY"})
    found = street.apply()
    assert found["finished"]
    assert [street.motd(name) for name in NAMES] == ["GOOD DAY", "good day", "GOOD DAY"]
    until("people to be told", lambda: "Connection refused" in street.daemon.nodes()["shop-2"]["reason"], 20)
    assert street.daemon.nodes()["shop-2"]["state"] == "ConnectionLost"
    assert "Connection refused" in street.opsctl("node", "show", "shop-2")
    assert "shop-2 is not reached over SSH: root@127.0.0.1:1: Connection refused" in street.opsctl("plan")
    street.push("Back", street.node("shop-2", port=port))
    until("it to be visited", lambda: street.motd("shop-2") == "GOOD DAY", 60)


def test_another_host_key_is_not_trusted(street: Street) -> None:
    before = len(street.hosts["shop-3"].commands)
    street.push("Wrong key", street.node("shop-3", hostKeys=[street.hosts["shop-1"].host_key]))
    until("people to be told", lambda: "another host key" in street.daemon.nodes()["shop-3"]["reason"], 30)
    assert len(street.hosts["shop-3"].commands) == before
    street.push("Right key", street.node("shop-3"))
    until("it to be visited", lambda: street.daemon.nodes()["shop-3"]["state"] == "Online", 30)


def test_a_node_may_connect_by_itself_from_now_on_and_stays_what_it_was(street: Street) -> None:
    known = street.daemon.nodes()["shop-1"]["id"]
    street.push("By itself", {"nodes/shop-1.yaml": street.manifest("shop-1", {})})
    until("it to be let go", lambda: street.daemon.nodes()["shop-1"]["state"] == "ConnectionLost", 30)
    with program.Serving(program.THIS, "--root", str(street.hosts["shop-1"].root)) as agent:
        until("it to connect", lambda: street.daemon.nodes()["shop-1"]["state"] == "Online", 30)
        assert street.daemon.nodes()["shop-1"]["id"] == known
        agent.terminate()
    street.push("Visited again", street.node("shop-1"))
    until("it to be visited", lambda: street.daemon.nodes()["shop-1"]["state"] == "Online", 60)
    assert street.daemon.nodes()["shop-1"]["id"] == known
    assert street.daemon.nodes()["shop-1"]["reason"] == ""


def test_an_ephemeral_one_keeps_nothing_and_is_refused_what_takes_a_memory(street: Street) -> None:
    host = street.settle_down("kiosk")
    street.push("A kiosk", street.node("kiosk", ephemeral=True))
    street.apply()
    assert street.motd("kiosk") == "GOOD DAY"
    assert [str(path.relative_to(host.root)) for path in host.root.rglob("*") if path.is_file()] == ["etc/motd"]
    rows = street.daemon.nodes()
    assert (rows["kiosk"]["state"], rows["kiosk"]["compliance"]) == ("Online", "COMPLIANT")
    street.push("Prune", {"associations/motd.yaml": ASSOCIATION + "  prune: true\n"})
    assert "an ephemeral node keeps none" in street.opsctl("plan")


def test_a_retired_one_is_told_so(street: Street) -> None:
    street.opsctl("node", "retire", "shop-3", "--auto-approve")
    held = street.hosts["shop-3"].state / "held" / "set.json"
    until("it to hear of it", lambda: b'"retire"' in _payload(held), 30)
    until("people to be told", lambda: "was retired" in street.daemon.nodes()["shop-3"].get("reason", ""), 30)


def _payload(path: Path) -> bytes:
    return base64.b64decode(json.loads(path.read_text())["signed"]["payload"])
