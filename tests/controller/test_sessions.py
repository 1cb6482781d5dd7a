"""Sessions: who gets a ticket, who may use it, and when it is taken back."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from agent.contract.codec import from_wire
from agent.contract.session import PORT, SHELL, Ticket
from agent.contract.wire import Signed
from reconciler.adapters.signer import KeySigner
from reconciler.core.access import Subject
from reconciler.core.problem import Refused, Unavailable
from tests.controller.house import ROOT, House, small
from tests.engine.repository import node, operator, role

ANN, BEN = Subject("ann"), Subject("ben")
PREFERENCES = """\
schemaVersion: "1.0"
sessionType: Standard_Stream
inputs: {runAsEnabled: true, runAsDefaultUser: deploy, idleSessionTimeout: "5", maxSessionDuration: "2"}
"""


@dataclass(frozen=True)
class Asked:
    node: str = "web-1"
    sort: str = SHELL
    run_as: str = ""
    document: str = ""
    port: int = 0
    path: str = ""
    host: str = ""
    reason: str = ""


@pytest.fixture
def house() -> House:
    grants = "{verbs: [session, terminate], kinds: [Node], nodes: ['tag:Role=web']}"
    files = small(
        **{
            "nodes/web-1.yaml": node("web-1", "{Role: web}"),
            "nodes/db-1.yaml": node("db-1", "{Role: db}"),
            "access/roles.yaml": role("web", grants) + "---\n" + role("reader", "{verbs: [read], nodes: ['*']}"),
            "access/operators.yaml": operator("ann", "web") + "---\n" + operator("ben", "reader"),
        }
    )
    house = House(files)
    house.join("web-1", "db-1")
    house.settle(2)
    return house


def started(house: House, who: Subject = ANN, **asked: Any) -> tuple[Signed, Ticket]:
    signed = from_wire(Signed, house.service.sessions.start(who, Asked(**asked))["ticket"])
    return signed, from_wire(Ticket, json.loads(base64.b64decode(signed.payload)))


def test_a_ticket_is_for_one_node_and_one_subject_within_limits(house: House) -> None:
    signed, ticket = started(house, reason="a look")
    assert (ticket.subject, ticket.sort, ticket.envelope.node_id) == ("ann", SHELL, house["web-1"].id)
    assert ticket.limits == {"idle": 1200, "duration": 86400, "grace": 120}
    assert house.service.sessions.admit(ANN, signed, again=False) == ticket
    with pytest.raises(Refused, match="somebody else's"):
        house.service.sessions.admit(BEN, signed, again=False)
    forged = KeySigner().sign(base64.b64decode(signed.payload), "opsctl-ticket@v1")
    with pytest.raises(Refused, match="not this server's"):
        house.service.sessions.admit(ANN, forged, again=False)
    assert [row[2] for row in house.audit("session")] == ["opened"]


def test_nobody_gets_one_without_the_verb_on_that_node(house: House) -> None:
    for who, asked in ((BEN, {}), (ANN, {"node": "db-1"}), (ANN, {"sort": PORT, "port": 22}), (ANN, {"node": "web-9"})):
        with pytest.raises(Refused):
            started(house, who, **asked)
    house["web-1"].disconnect()
    house.tick()
    with pytest.raises(Unavailable, match="not connected"):
        started(house)


def test_a_ticket_opens_nothing_new_after_a_minute(house: House) -> None:
    unused, _ = started(house)
    used, _ = started(house)
    house.service.sessions.admit(ANN, used, again=False)
    house.tick(61)
    with pytest.raises(Refused, match="in time"):
        house.service.sessions.admit(ANN, unused, again=False)
    house.service.sessions.admit(ANN, used, again=True)


def test_a_session_ends_when_the_node_is_out_of_reach(house: House) -> None:
    signed, ticket = started(house)
    house.service.sessions.admit(ANN, signed, again=False)
    house.push({"nodes/web-1.yaml": node("web-1", "{Role: db}")})
    house.service.sync(ROOT)
    house.settle(3)
    assert house.service.sessions.is_over(ticket.ticket_id)
    (revocation,) = house.intake.orders(house["web-1"].id).revocations
    assert revocation.revoked_id == ticket.ticket_id
    with pytest.raises(Refused, match="was ended"):
        house.service.sessions.admit(ANN, signed, again=True)
    assert sorted(row[2] for row in house.audit("session")) == ["ended", "opened"]


def test_retired_nodes_and_people_who_terminate_end_sessions(house: House) -> None:
    _, first = started(house)
    _, second = started(house)
    with pytest.raises(Refused):
        house.service.sessions.terminate(BEN, first.ticket_id)
    house.service.sessions.terminate(ANN, first.ticket_id)
    assert house.service.sessions.is_over(first.ticket_id)
    assert [row["session"] for row in house.service.sessions.list(ROOT)] == [second.ticket_id]
    house.service.retire(ROOT, "web-1")
    house.tick(2)
    assert house.service.sessions.is_over(second.ticket_id)


def test_a_server_that_was_restarted_knows_a_session_by_its_ticket(house: House) -> None:
    signed, ticket = started(house)
    house.service.sessions.admit(ANN, signed, again=False)
    house.restart()
    house.settle(2)
    assert house.service.sessions.list(ROOT) == []
    house.service.sessions.admit(ANN, signed, again=True)
    assert [row["session"] for row in house.service.sessions.list(ROOT)] == [ticket.ticket_id]
    house.service.sessions.left(ticket, 3, 5, over=True)
    assert house.service.sessions.list(ROOT) == []


def test_preferences_are_the_repositorys(house: House) -> None:
    house.push({"documents/SSM-SessionManagerRunShell.yaml": PREFERENCES})
    house.service.sync(ROOT)
    house.settle(3)
    signed, ticket = started(house)
    house.service.sessions.admit(ANN, signed, again=False)
    assert (ticket.run_as, ticket.limits["idle"], ticket.limits["duration"]) == ("deploy", 300, 120)
    with pytest.raises(Refused, match="run as deploy"):
        started(house, run_as="root")
    house.tick(122)
    with pytest.raises(Refused, match=r"as long as it may|was ended"):
        house.service.sessions.admit(ANN, signed, again=True)
