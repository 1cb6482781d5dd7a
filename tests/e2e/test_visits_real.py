"""Visits to real machines with OpenSSH: joining, drift, moving to a connection and back, retiring; fifty at once."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import faults
from tests.adapters.ssh.host import new_key
from tests.agent import program
from tests.e2e.scene import Scene
from tests.e2e.test_visits import ASSOCIATION, DOCUMENT, FLEET
from tests.fleet import Fleet, Node
from tests.stage import until

pytestmark = [pytest.mark.realnode, pytest.mark.usefixtures("node_rootfs")]
log = logging.getLogger(__name__)
HOSTS = faults.count(few=8, full=50)
FIRST_PORT = 3000
LISTENERS = 10
"""Ports of one sshd, which takes 16 at most."""
# Fifty hosts on one machine: the port that was dialled says which; each sees a state and a directory of its own.
_ENTER = """#!/bin/sh
set -- $SSH_CONNECTION
here=/srv/hosts/$4
mkdir -p $here/state $here/etc /var/lib/opsctl /etc/host
export here
exec unshare --mount sh -c '
mount --bind $here/state /var/lib/opsctl && mount --bind $here/etc /etc/host && eval "exec $SSH_ORIGINAL_COMMAND"'
"""
_HOST_DOCUMENT = DOCUMENT.replace("/etc/motd", "/etc/host/motd")


class Harbour(Scene):
    """A scene that visits one real node, by its address, as root or as a user who may use sudo."""

    def __init__(self, directory: Path, fleet: Fleet, node: Node) -> None:
        self.ship, self.key = node, new_key(directory / "id_ed25519", "open sesame")
        (directory / "passphrase").write_text("open sesame\n")
        identity = {"file": str(directory / "id_ed25519"), "passphraseFile": str(directory / "passphrase")}
        files = {"fleet.yaml": FLEET, "documents/motd.yaml": DOCUMENT % "hello", "associations/motd.yaml": ASSOCIATION}
        super().__init__(directory, files, {"ssh": {"identities": {"default": identity}}}, address=fleet.host_address)
        self.host_key = " ".join(self.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])

    def run(self, *command: str, stdin: str = "") -> str:
        return self.ship.run(list(command), stdin=stdin).stdout

    def reached(self, name: str, **ssh: Any) -> dict[str, str]:
        given = {"host": self.ship.address, "hostKeys": [self.host_key], **ssh}
        spec = {"transport": "ssh", "ssh": given}
        return {f"nodes/{name}.yaml": self.manifest(name, spec)}

    def manifest(self, name: str, spec: dict[str, Any]) -> str:
        return json.dumps({"apiVersion": "ops/v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})

    def applied(self) -> dict[str, Any]:
        """As `apply`, with patience for a busy machine that is fifty hosts at once."""
        path = f"/apply/{self.daemon.ask('/apply', {'allowRemovals': 0})['apply']}"
        until("the apply to finish", lambda: self.daemon.ask(path)["finished"], 240, self.daemon.last_words)
        found: dict[str, Any] = self.daemon.ask(path)
        return found

    def of(self, name: str) -> dict[str, Any]:
        return self.daemon.nodes().get(name, {})


@pytest.fixture(scope="module")
def harbour(node_rootfs: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    with Fleet() as fleet:
        node = fleet.up("ship", packages=["openssh-server"]).wait_booted()
        node.run(["apt-get", "-qq", "update"])
        node.run(["apt-get", "-qq", "--yes", "install", "openssh-server"], timeout=120)
        with Harbour(tmp_path_factory.mktemp("h"), fleet, node) as harbour:
            authorized = f"{harbour.key.get_name()} {harbour.key.get_base64()}\n"
            for home, owner in (("/root", "root"), ("/home/deploy", "deploy")):
                if owner != "root":
                    harbour.run("useradd", "--create-home", "--shell", "/bin/sh", owner)
                    harbour.run("tee", "/etc/sudoers.d/deploy", stdin=f"{owner} ALL=(root) NOPASSWD: ALL\n")
                harbour.run("mkdir", "-p", f"{home}/.ssh")
                harbour.run("tee", f"{home}/.ssh/authorized_keys", stdin=authorized)
                harbour.run("chown", "-R", f"{owner}:", f"{home}/.ssh")
            yield harbour


def test_a_machine_joins_by_sudo_and_drift_is_healed_and_nothing_else_is_left(harbour: Harbour) -> None:
    before = _files(harbour)
    harbour.push("A ship", harbour.reached("ship", user="deploy", sudo=True))
    found = harbour.apply()
    assert (found["done"], found["failed"], found["offline"]) == (1, 0, 0)
    assert harbour.run("cat", "/etc/motd") == "hello"
    harbour.run("tee", "/etc/motd", stdin="drifted")
    harbour.apply()
    assert harbour.run("cat", "/etc/motd") == "hello"
    left = {path for path in _files(harbour) - before if not path.startswith("/var/lib/opsctl")}
    assert {path for path in left if not path.startswith(("/var/log/", "/run/", "/home/deploy/."))} <= {"/etc/motd"}
    assert "agent.pyz" not in harbour.run("sh", "-c", "ls -R /tmp /var/tmp /dev/shm /root /home/deploy /var/lib/opsctl")


def test_it_moves_to_a_connection_of_its_own_and_back_and_stays_the_same_node(harbour: Harbour) -> None:
    harbour.ship.put(program.archive(), "/root/agent.pyz")
    known, last = harbour.of("ship")["id"], _last_seq(harbour)
    harbour.push("By itself", {"nodes/ship.yaml": harbour.manifest("ship", {})})
    harbour.run("python3", "/root/agent.pyz", "install")
    until("it to connect", lambda: harbour.of("ship").get("state") == "Online", 60)
    harbour.push("Louder", {"documents/motd.yaml": DOCUMENT % "HELLO"})
    until("the change", lambda: harbour.run("cat", "/etc/motd") == "HELLO", 60)
    harbour.run("systemctl", "disable", "--now", "opsctl-agent")
    harbour.push("Visited again", harbour.reached("ship", user="deploy", sudo=True))
    harbour.push("Softer", {"documents/motd.yaml": DOCUMENT % "hello again"})
    until("the change", lambda: harbour.run("cat", "/etc/motd") == "hello again", 60)
    until("it to be told", lambda: harbour.of("ship").get("compliance") == "COMPLIANT", 60)
    assert harbour.of("ship")["id"] == known
    assert _last_seq(harbour) > last


def test_retired_it_is_told_so_and_lets_go(harbour: Harbour) -> None:
    harbour.opsctl("node", "retire", "ship", "--auto-approve")
    until("it to be told", lambda: "was retired" in harbour.of("ship").get("reason", ""), 60)
    said = harbour.run("python3", "/root/agent.pyz", "status", "--format", "json")
    assert json.loads(said)["retired"] is True
    harbour.push("No ship", {"nodes/ship.yaml": None})


@pytest.mark.fault
def test_fifty_at_once(harbour: Harbour) -> None:
    """One apply for hosts that nobody has heard of, one that changes them all, one more. The figures are logged.

    All of them are this machine's processes: eight, or fifty with full counts.
    """
    ports = [FIRST_PORT + number for number in range(HOSTS)]
    harbour.run("tee", "/root/enter", stdin=_ENTER)
    harbour.run("chmod", "755", "/root/enter")
    for first in range(0, HOSTS, LISTENERS):
        lines = ["ForceCommand /root/enter", "PidFile none", "AddressFamily inet", "MaxStartups 100"]
        lines += [f"Port {port}" for port in ports[first:][:LISTENERS]]
        harbour.run("tee", f"/root/sshd-{first}", stdin="\n".join(lines) + "\n")
        harbour.run("systemd-run", f"--unit=sshd-{first}", "/usr/sbin/sshd", "-D", "-f", f"/root/sshd-{first}")
    until("every port", lambda: all(_listens(harbour.ship.address, port) for port in ports), 30)
    nodes: dict[str, str] = {}
    for port in ports:
        nodes |= harbour.reached(f"host-{port}", port=port)
    harbour.push("Fifty hosts", {"documents/motd.yaml": _HOST_DOCUMENT % "hello", **nodes})
    for what, text in (("joining", "hello"), ("a change", "changed"), ("nothing to do", "changed")):
        if text == "changed" and what == "a change":
            harbour.repository.push("Changed", {"documents/motd.yaml": _HOST_DOCUMENT % text})
        began = time.monotonic()
        found = harbour.applied()
        seconds = time.monotonic() - began
        log.info("%d hosts over SSH, %s: %.1f s", HOSTS, what, seconds)
        counts = {key: found[key] for key in ("failed", "offline", "visiting", "unreached")}
        assert not any(counts.values()), (counts, harbour.daemon.nodes())
        texts = harbour.run("sh", "-c", "for at in /srv/hosts/*; do cat $at/etc/motd; echo; done").split()
        assert texts == [text] * HOSTS
    assert len({row["id"] for name, row in harbour.daemon.nodes().items() if name.startswith("host-")}) == HOSTS


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


def _files(harbour: Harbour) -> set[str]:
    return set(harbour.run("find", "/", "-xdev", "-type", "f", "-not", "-path", "/proc/*").splitlines())


def _last_seq(harbour: Harbour) -> int:
    """The number of the node's newest report, as its journal has it."""
    code = "import sys; sys.path.insert(0, '/root/agent.pyz'); from agent.state.journal import Journal; "
    return int(harbour.run("python3", "-c", code + "print(Journal('/var/lib/opsctl').last_seq())"))
