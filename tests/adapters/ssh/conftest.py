"""A gateway in a server's event loop, a host that is reached over SSH, and a visitor between them."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.contract import wire
from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.contract.token import encode_token
from reconciler.adapters.ssh import Identity, SshSettings, SshVisitor
from reconciler.core.problem import Refused
from tests.adapters.gateway.conftest import Edge, edge
from tests.adapters.gateway.intake import FLEET
from tests.adapters.ssh.host import Host, new_key
from tests.agent import program

__all__ = ["edge"]
URL = "https://server.example:8443"


class MemoryGuest:
    """`Guest` on the intake in memory: a machine becomes the node `node_id` with whatever key it brings first."""

    def __init__(self, edge: Edge, *, ephemeral: bool = False) -> None:
        self.edge, self.ephemeral = edge, ephemeral
        self.node_id = ""
        self.last_seq = 0
        self.told: dict[str, wire.Told] = {}
        self.requests: list[wire.Enrolment] = []
        self._secret = ""

    def join(self) -> wire.Join:
        self._secret = secrets.token_urlsafe()
        ca_digest = digest(ssl.PEM_cert_to_DER_cert(self.edge.files.ca.read_text()))
        token = encode_token(wire.Token([URL], FLEET, ca_digest, "visit", self._secret))
        return wire.Join(token, "", self.node_id, self.last_seq, self.told)

    def enrol(self, request: wire.Enrolment, peer: str) -> wire.Enrolled:
        self.requests.append(request)
        intake = self.edge.intake
        if request.secret != self._secret:
            raise Refused("not this visit's token", "unknown")
        if self.node_id and not self.ephemeral:
            raise Refused("a node of this name is enrolled already", "name")
        if not self.node_id:
            self.node_id = f"mi-{secrets.token_hex(9)[1:]}"
            intake.admit(self.node_id, request.sign_key)
            self.want()
        intake.keys[self.node_id] = request.sign_key
        return wire.Enrolled(FLEET, self.node_id, "web-1", intake.controller_key, 1)

    def want(self, *bodies: wire.Body, generation: int = 1) -> wire.AssignmentSet:
        """The node is to hold these."""
        keep, intake = self.edge.intake.keep, self.edge.intake
        present = intake.sets[self.node_id]
        context = keep(canonical(to_wire(wire.NodeContext("web-1"))))
        given = {
            body.uid: wire.Assignment(generation, keep(canonical(to_wire(body))), "none", [wire.Interval()])
            for body in bodies
        }
        wanted = wire.AssignmentSet(
            **{**vars(present), "serial": present.serial + 1, "context_digest": context, "assignments": given}
        )
        intake.sets[self.node_id] = wanted
        self.edge.gateway.wake([self.node_id])
        return wanted


@pytest.fixture
def settings(tmp_path: Path) -> SshSettings:
    new_key(tmp_path / "id_ed25519")
    return SshSettings({"default": Identity(tmp_path / "id_ed25519")}, tmp_path / "known_hosts", 5.0)


@pytest.fixture
def host(tmp_path: Path, settings: SshSettings) -> Iterator[Host]:
    import paramiko

    key = paramiko.Ed25519Key.from_private_key_file(str(settings.identities["default"].file))
    with Host(tmp_path / "host", key) as running:
        yield running


@pytest.fixture
def visitor(edge: Edge, settings: SshSettings) -> Iterator[SshVisitor]:
    edge.intake.fail.clear()
    made = SshVisitor(program.archive().read_bytes, settings, edge.gateway.attend)
    yield made
    made.close()


@pytest.fixture
def guest(edge: Edge) -> MemoryGuest:
    return MemoryGuest(edge)
