"""Who may come in, on a real TLS listener."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from agent.contract import wire
from reconciler.adapters.gateway import gateway as gateway_module
from reconciler.core.problem import Unavailable
from tests.adapters.gateway.conftest import Edge
from tests.adapters.gateway.peer import Key, Node


def test_a_node_with_its_key_is_welcomed_and_given_its_newer_set(edge: Edge, node: Node) -> None:
    with edge.dial() as link:
        link.greet(node, edge.controller.public)
        given = link.assigned(edge.controller.public)
        assert given == edge.intake.sets[node.id]
        assert given.expires_in == wire.VALID_FOR
        assert ("connected", node.id) in edge.intake.calls
        assert edge.gateway.connected == 1
    edge.intake.until(lambda: ("disconnected", node.id) in edge.intake.calls)


def test_a_node_that_holds_its_set_is_sent_nothing(edge: Edge, node: Node) -> None:
    held = edge.intake.sets[node.id]
    node.incarnation, node.serial = held.incarnation, held.serial
    with edge.dial() as link:
        link.greet(node, edge.controller.public)
        edge.intake.until(lambda: ("desired", node.id) in edge.intake.calls)
        newer = edge.intake.advance(node.id)
        edge.gateway.wake([node.id])
        assert link.assigned(edge.controller.public) == newer


def test_a_node_ahead_of_the_store_is_sent_nothing_and_named(
    edge: Edge, node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.incarnation, node.serial = edge.intake.sets[node.id].incarnation + 1, 7
    with edge.dial() as link:
        link.greet(node, edge.controller.public)
        edge.intake.until(lambda: ("desired", node.id) in edge.intake.calls)
        link.send(wire.Fetch(["sha256:none"]))
        assert link.receive()[0] == "missing"
    assert f"node {node.id} holds set" in caplog.text


def test_an_unknown_node_is_turned_away(edge: Edge) -> None:
    with edge.dial() as link:
        link.send(json.dumps(link.hello(Node("mi-stranger", Key()))))
        code, reason = link.closed()
    assert (code, "does not know" in reason) == (4401, True)


def test_a_known_node_with_another_key_is_turned_away(edge: Edge, node: Node) -> None:
    node.key = Key()
    with edge.dial() as link:
        link.send(json.dumps(link.hello(node)))
        code, reason = link.closed()
    assert (code, "not signed by this node's key" in reason) == (4401, True)
    assert ("connected", node.id) not in edge.intake.calls


def test_a_recorded_hello_is_worthless_on_another_connection(edge: Edge, node: Node) -> None:
    with edge.dial() as link:
        recorded = link.hello(node)
    with edge.dial() as link:
        link.receive()
        link.send(json.dumps(recorded))
        code, reason = link.closed()
    assert (code, "another connection" in reason) == (4401, True)


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ({"fleet_id": "another"}, "another fleet"),
        ({"server_fingerprint": "sha256:" + "0" * 64}, "another certificate"),
        ({"node_id": "mi-another"}, "another node"),
        ({"agent_nonce": "another nonce of some length"}, "another nonce"),
        ({"hello_digest": "sha256:" + "0" * 64}, "not the one that was signed"),
        ({"protocol": wire.PROTOCOL + 1}, "out of range"),
    ],
)
def test_a_transcript_that_says_another_thing_is_turned_away(
    edge: Edge, node: Node, altered: dict[str, Any], said: str
) -> None:
    with edge.dial() as link:
        link.send(json.dumps(link.hello(node, **altered)))
        code, reason = link.closed()
    assert (code, said in reason) == (4401, True), reason


def test_a_hello_altered_on_the_way_is_turned_away(edge: Edge, node: Node) -> None:
    with edge.dial() as link:
        hello = link.hello(node)
        hello["hello"]["serial"] = 99
        link.send(json.dumps(hello))
        assert link.closed()[0] == 4401


def test_without_a_common_protocol_both_are_told(edge: Edge, node: Node) -> None:
    node.protocol = wire.PROTOCOL + 5
    with edge.dial() as link:
        link.send(json.dumps(link.hello(node)))
        code, reason = link.closed()
    assert (code, reason) == (4406, f"the agent speaks protocol {node.protocol} to {node.protocol}, this server 1 to 1")


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "[]",
        "{}",
        '{"type": "fetch", "digests": []}',
        '{"type": "hello"}',
        '{"type": "hello", "hello": 7}',
        '{"type": "hello", "hello": {"nodeId": "mi-1"}}',
        "[" * 100_000,
        b"\x00\x01\x02",
        b"",
    ],
)
def test_garbage_in_place_of_a_hello_ends_that_connection_without_a_trace(
    edge: Edge, frame: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with edge.dial() as link:
        link.receive()
        link.send(frame)
        assert link.closed()[0] == 4400
    assert "turned away with 4400" in caplog.text
    assert all(record.exc_info is None for record in caplog.records)


def test_a_hello_with_a_short_nonce_or_a_float_is_garbage(edge: Edge, node: Node) -> None:
    for field, value in (("nonce", "short"), ("nonce", None), ("nonce", secrets.token_hex(500))):
        with edge.dial() as link:
            link.send(json.dumps({**link.hello(node), field: value}))
            assert link.closed()[0] == 4400
    with edge.dial() as link:
        hello = link.hello(node)
        hello["hello"]["facts"] = {"load": 0.5}
        link.send(json.dumps(hello))
        assert link.closed()[0] == 4400


def test_whoever_says_nothing_is_not_waited_for(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "HELLO_SECONDS", 0.1)
    with edge.dial() as link:
        link.receive()
        assert link.closed()[0] == 4408


def test_too_many_strangers_are_asked_to_come_back(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "STRANGERS", 1)
    with edge.dial() as first:
        first.receive()
        with edge.dial() as second:
            assert second.closed()[0] == 1013


def test_a_second_connection_of_a_node_replaces_the_first(edge: Edge, node: Node) -> None:
    with edge.dial() as first:
        first.greet(node, edge.controller.public)
        first.assigned(edge.controller.public)
        with edge.dial() as second:
            second.greet(node, edge.controller.public)
            assert first.closed()[0] == 4409
            second.assigned(edge.controller.public)
            newer = edge.intake.advance(node.id)
            edge.gateway.wake([node.id])
            assert second.assigned(edge.controller.public) == newer
            assert ("disconnected", node.id) not in edge.intake.calls
    edge.intake.until(lambda: ("disconnected", node.id) in edge.intake.calls)


@pytest.mark.parametrize(
    ("call", "error", "code"),
    [
        ("node_key", Unavailable("the store"), 1013),
        ("node_key", RuntimeError("a defect"), 1011),
        ("connected", Unavailable("the store"), 1013),
        ("connected", RuntimeError("a defect"), 1011),
    ],
)
def test_an_intake_that_fails_ends_the_new_connection_and_no_other(
    edge: Edge, node: Node, call: str, error: Exception, code: int
) -> None:
    other = edge.new_node()
    with edge.dial() as good:
        good.greet(other, edge.controller.public)
        good.assigned(edge.controller.public)
        edge.intake.fail[call] = error
        with edge.dial() as link:
            link.send(json.dumps(link.hello(node)))
            assert link.closed()[0] == code
        edge.intake.fail.clear()
        good.send(wire.Fetch(["sha256:none"]))
        assert good.receive()[0] == "missing"


def test_only_the_agents_path_takes_websockets(edge: Edge) -> None:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus, match="403"), edge.dial("/elsewhere"):
        pytest.fail("it was taken")
