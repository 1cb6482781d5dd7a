"""The real agent's link against the real gateway: enrol, hold, fetch, report, be refused."""

from __future__ import annotations

import dataclasses
import os
import ssl
from typing import TYPE_CHECKING

import pytest

from agent.contract import frames, wire
from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.contract.token import encode_token
from agent.enrolment import EnrolmentFailed, enroll
from agent.state import identity
from tests.adapters.gateway.intake import FLEET
from tests.agent.linked import Linked
from tests.agent.reports import report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.adapters.gateway.conftest import Edge


def _token(edge: Edge, token_id: str) -> str:
    ca_digest = digest(ssl.PEM_cert_to_DER_cert(edge.files.ca.read_text()))
    edge.intake.tokens[token_id] = "a secret of this test"
    url = f"https://127.0.0.1:{edge.address[1]}"
    return encode_token(wire.Token([url], FLEET, ca_digest, token_id, "a secret of this test"))


@pytest.fixture
def linked(edge: Edge, tmp_path: Path) -> Iterator[Linked]:
    edge.intake.fail.clear()
    state = str(tmp_path / "state")
    enroll(state, _token(edge, "good"), hostname="web-1")
    with Linked(state) as running:
        yield running


def _want(edge: Edge, node_id: str, source: bytes) -> wire.AssignmentSet:
    """The node is to hold one body with one file."""
    keep = edge.intake.keep
    step = wire.BodyStep("motd", "ops:file", 1, {"path": "/etc/motd", "source": "files/motd"})
    files = {"files/motd": wire.FileRef(keep(source), len(source))}
    body = wire.Body("Association/motd", "motd", [step], files=files)
    given = wire.Assignment(1, keep(canonical(to_wire(body))), "none", [wire.Interval()])
    context = keep(canonical(to_wire(wire.NodeContext("web-1"))))
    present = edge.intake.sets[node_id]
    wanted = dataclasses.replace(
        present, serial=present.serial + 1, context_digest=context, assignments={body.uid: given}
    )
    edge.intake.sets[node_id] = wanted
    return wanted


def test_what_the_intake_wants_is_held_and_what_the_node_says_arrives(edge: Edge, linked: Linked) -> None:
    node_id = linked.node.identity.node_id
    source = os.urandom(2 * frames.INITIAL_CREDIT + 77)
    wanted = _want(edge, node_id, source)
    edge.gateway.wake([node_id])
    edge.intake.until(lambda: node_id in edge.intake.holdings and edge.intake.holdings[node_id].serial == wanted.serial)
    assert linked.assignments.objects.read(digest(source)) == source
    said = report(fleet_id=FLEET, node_id=node_id)
    linked.journal.report(said, "content", applied=True)
    linked.link.wake()
    linked.wait(lambda: linked.journal.pending_count() == 0, "an acknowledgement")
    assert [each.uid for each in edge.intake.reports if each.node_id == node_id] == [said.uid]


def test_a_node_that_the_server_no_longer_knows_is_told(edge: Edge, linked: Linked) -> None:
    node_id = linked.node.identity.node_id
    linked.wait(lambda: linked.link.session is not None, "a session")
    del edge.intake.keys[node_id]
    with edge.dial() as link:  # somebody else who is also not known: the gateway stays up
        link.receive()
    edge.intake.fail["content"] = RuntimeError("a defect")
    _want(edge, node_id, b"x")
    edge.gateway.wake([node_id])
    linked.wait(lambda: linked.status["state"] == "refused", "being refused")
    assert "does not know the node" in linked.status["why"]


def test_a_token_that_is_not_known_gives_no_identity(edge: Edge, tmp_path: Path) -> None:
    token = _token(edge, "gone")
    del edge.intake.tokens["gone"]
    with pytest.raises(EnrolmentFailed, match="not known here"):
        enroll(str(tmp_path / "state"), token)
    with pytest.raises(identity.NotEnrolled):
        identity.load(str(tmp_path / "state"))
