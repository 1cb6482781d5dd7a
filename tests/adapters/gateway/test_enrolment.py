"""What a machine can ask for before it is a node."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agent.contract import wire
from agent.contract.codec import from_wire, to_wire
from reconciler.adapters.gateway import enrolment
from reconciler.adapters.gateway.lanes import Lane
from reconciler.core.problem import Refused, Unavailable
from tests.adapters.gateway.intake import FLEET, MemoryIntake
from tests.adapters.gateway.peer import Key, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adapters.gateway.conftest import Edge


@pytest.fixture
def http(edge: Edge) -> Iterator[httpx.Client]:
    import ssl

    edge.intake.fail.clear()
    context = ssl.create_default_context(cafile=str(edge.files.ca))
    host, port = edge.address
    with httpx.Client(base_url=f"https://{host}:{port}", verify=context, trust_env=False) as client:
        yield client


def _request(key: Key, **changed: Any) -> dict[str, Any]:
    request = wire.Enrolment("t1", "secret", key.public, "c2VhbA==", "web-1", "linux", "1.0")
    return {**to_wire(request), **changed}


def test_the_ca_certificate_is_public(edge: Edge, http: httpx.Client) -> None:
    answer = http.get("/ca.pem")
    assert (answer.status_code, answer.content) == (200, edge.files.ca.read_bytes())
    assert http.head("/ca.pem").status_code == 200
    assert http.post("/ca.pem").status_code == 405
    assert http.get("/enroll").headers["allow"] == "POST"


def test_a_token_makes_a_node_that_can_come_in(edge: Edge, http: httpx.Client) -> None:
    edge.intake.tokens["t1"] = "secret"
    key = Key()
    answer = http.post("/enroll", json=_request(key))
    assert answer.status_code == 200, answer.text
    enrolled = from_wire(wire.Enrolled, answer.json())
    assert (enrolled.fleet_id, enrolled.node_name) == (FLEET, "web-1")
    with edge.dial() as link:
        link.greet(Node(enrolled.node_id, key), enrolled.controller_key)


@pytest.mark.parametrize(
    ("changed", "status", "reason"),
    [
        ({"tokenId": "t2"}, 403, "unknown"),
        ({"secret": "another"}, 403, "used"),
        ({"signKey": "ssh-rsa AAAA"}, 400, "malformed"),
        ({"signKey": 7}, 400, "malformed"),
        ({"hostname": "x" * 2000}, 400, "malformed"),
        ({"facts": "x" * 20_000}, 413, "malformed"),
    ],
)
def test_what_is_not_a_good_enrolment(
    edge: Edge, http: httpx.Client, changed: dict[str, Any], status: int, reason: str
) -> None:
    edge.intake.tokens["t1"] = "secret"
    answer = http.post("/enroll", json=_request(Key(), **changed))
    refusal = from_wire(wire.Refusal, answer.json())
    assert (answer.status_code, refusal.reason) == (status, reason)
    assert "secret" not in refusal.message


def test_a_body_that_is_not_json_is_malformed(http: httpx.Client) -> None:
    for body in (b"", b"{", b"[]", b"\xff", b"[" * 10_000):
        answer = http.post("/enroll", content=body)
        assert (answer.status_code, answer.json()["reason"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (Refused("the token has expired", rule="expired"), 403, "expired"),
        (Refused("a node of that name is enrolled", rule="name", remedy="retire it"), 403, "refused"),
        (Unavailable("the store"), 503, "busy"),
        (RuntimeError("a defect with secret"), 500, "busy"),
    ],
)
def test_an_intake_that_does_not_enrol(
    edge: Edge, http: httpx.Client, error: Exception, status: int, reason: str
) -> None:
    edge.intake.fail["enrol"] = error
    answer = http.post("/enroll", json=_request(Key()))
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert "secret" not in answer.text


async def _asked(app: enrolment.Enrolments, messages: list[dict[str, Any]], host: str = "192.0.2.1") -> int:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"path": "/enroll", "method": "POST", "client": (host, 1)}, receive, send)
    return int(sent[0]["status"])


def test_one_address_cannot_ask_without_end_and_slow_bodies_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enrolment, "AT_ONCE", 2.0)
    monkeypatch.setattr(enrolment, "BODY_SECONDS", 0.05)
    lane = Lane("test", 1)
    app = enrolment.Enrolments(MemoryIntake(), lane, b"")

    async def scenario() -> list[int]:
        begun = {"type": "http.request", "body": b"{", "more_body": True}
        gone = {"type": "http.disconnect"}
        return [
            await _asked(app, [begun]),
            await _asked(app, [begun, gone]),
            await _asked(app, [begun]),
            await _asked(app, [begun, gone], "192.0.2.2"),
        ]

    try:
        assert asyncio.run(scenario()) == [408, 400, 429, 400]
    finally:
        lane.close()
