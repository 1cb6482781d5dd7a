"""What passes between a gateway and an agent that it knows."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from agent.contract import frames, leave, sshsig, wire
from agent.contract.canonical import canonical, digest
from agent.contract.codec import from_wire, to_wire
from agent.contract.reserved import RESERVED
from reconciler.adapters.gateway import connection as connection_module
from reconciler.adapters.gateway import gateway as gateway_module
from reconciler.core.node_ports import Orders
from reconciler.core.problem import Refused, Unavailable
from tests.adapters.gateway.intake import FLEET, INCARNATION
from tests.adapters.gateway.peer import Key, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adapters.gateway.conftest import Edge
    from tests.adapters.gateway.peer import Link, Node


@pytest.fixture
def link(edge: Edge, node: Node) -> Iterator[Link]:
    """A link of `node` past its hello and its first set."""
    with edge.dial() as link:
        link.greet(node, edge.controller.public)
        link.assigned(edge.controller.public)
        yield link


def _acknowledged(link: Link) -> int:
    name, value = link.receive()
    assert name == "ack", name
    return from_wire(wire.Ack, value).seq


def _until_asked(edge: Edge, node: Node, times: int) -> None:
    edge.intake.until(lambda: edge.intake.calls.count(("desired", node.id)) >= times)


def _whole(link: Link, stream: wire.Stream) -> bytes:
    """All bytes of one stream, with credit given as they come."""
    data = b""
    while True:
        frame = link.chunk()
        assert frame.stream == stream.stream
        data += frame.data
        if frame.kind == frames.END:
            return data
        link.send(wire.Credit(frame.stream, len(frame.data)))


def _announced(link: Link) -> wire.Stream:
    name, value = link.receive()
    assert name == "stream", name
    return from_wire(wire.Stream, value)


# -- sets ------------------------------------------------------------------------------------------------------------


def test_each_wake_pushes_the_newest_set_once(edge: Edge, node: Node, link: Link) -> None:
    for _ in range(3):
        newer = edge.intake.advance(node.id)
        edge.gateway.wake([node.id, "mi-elsewhere"])
        assert link.assigned(edge.controller.public) == newer
    edge.gateway.wake([node.id])
    link.send(wire.Fetch(["sha256:none"]))
    assert link.receive()[0] == "missing"


def test_a_retired_node_is_given_its_empty_set(edge: Edge, node: Node, link: Link) -> None:
    from dataclasses import replace

    edge.intake.sets[node.id] = replace(edge.intake.advance(node.id), retire=True)
    edge.gateway.wake([node.id])
    assert link.assigned(edge.controller.public).retire


def test_a_set_that_cannot_be_had_now_is_asked_for_again(
    edge: Edge, node: Node, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "AGAIN_SECONDS", 0.05)
    for error in (Unavailable("the store"), RuntimeError("a defect")):
        newer = edge.intake.advance(node.id)
        asked = edge.intake.calls.count(("desired", node.id))
        edge.intake.fail["desired"] = error
        edge.gateway.wake([node.id])
        _until_asked(edge, node, asked + 2)
        edge.intake.fail.clear()
        assert link.assigned(edge.controller.public) == newer


def test_a_wake_of_many_nodes_reaches_each_of_them(edge: Edge) -> None:
    from contextlib import ExitStack

    with ExitStack() as stack:
        nodes = [edge.new_node() for _ in range(20)]
        links = [stack.enter_context(edge.dial()) for _ in nodes]
        for each, link in zip(nodes, links, strict=True):
            link.greet(each, edge.controller.public)
            link.assigned(edge.controller.public)
        sets = [edge.intake.advance(each.id) for each in nodes]
        edge.gateway.wake([each.id for each in nodes])
        assert [link.assigned(edge.controller.public) for link in links] == sets


def test_what_a_node_holds_and_that_it_lives_is_handed_in(edge: Edge, node: Node, link: Link) -> None:
    held = wire.Held(INCARNATION, 0, {"Association/base": "sha256:" + "1" * 64})
    pulse = wire.Pulse("2026-01-01T00:00:00.000Z", pending=3)
    link.send(held, pulse)
    edge.intake.until(lambda: ("pulsed", node.id) in edge.intake.calls)
    assert edge.intake.holdings[node.id] == held
    assert edge.intake.pulses[-1] == pulse


def test_what_cannot_be_handed_in_does_not_end_the_connection(edge: Edge, node: Node, link: Link) -> None:
    edge.intake.fail.update(held=RuntimeError("a defect"), pulsed=Unavailable("the store"))
    link.send(wire.Held(INCARNATION, 0), wire.Pulse("2026-01-01T00:00:00.000Z"), wire.Fetch(["sha256:none"]))
    assert link.receive()[0] == "missing"


# -- reports ---------------------------------------------------------------------------------------------------------


def test_a_report_is_acknowledged_once_it_is_durable(edge: Edge, node: Node, link: Link) -> None:
    edge.intake.durable.clear()
    report = node.report(1)
    link.send(node.report_frame(report), wire.Fetch(["sha256:none"]))
    assert link.receive()[0] == "missing", "acknowledged before it was durable"
    edge.intake.durable.set()
    assert _acknowledged(link) == 1
    assert report in edge.intake.reports


def test_reports_are_taken_in_order_and_at_the_intakes_pace(edge: Edge, node: Node, link: Link) -> None:
    edge.intake.durable.clear()
    link.send(*(node.report_frame(node.report(seq)) for seq in range(1, 41)))
    edge.intake.durable.set()
    assert [_acknowledged(link) for _ in range(40)] == list(range(1, 41))
    assert [each.seq for each in edge.intake.reports if each.node_id == node.id] == list(range(1, 41))


def _signed_by_another(node: Node) -> str:
    return node.report_frame(node.report(1), Key())


def _of_another_node(node: Node) -> str:
    return node.report_frame(node.report(1, node_id="mi-another"))


def _of_another_fleet(node: Node) -> str:
    return node.report_frame(node.report(1, fleet_id="another"))


def _too_large(node: Node) -> str:
    room = wire.REPORT_LIMIT - len(canonical(to_wire(node.report(1, output="-")))) + 1
    return node.report_frame(node.report(1, output="x" * (room + 3)))


def _altered(node: Node) -> str:
    frame = json.loads(node.report_frame(node.report(1)))
    other = json.loads(node.report_frame(node.report(2)))
    frame["signed"]["payload"] = other["signed"]["payload"]
    return json.dumps(frame)


@pytest.mark.parametrize("forge", [_signed_by_another, _of_another_node, _of_another_fleet, _too_large, _altered])
def test_what_is_not_this_nodes_report_ends_the_connection(edge: Edge, node: Node, link: Link, forge: Any) -> None:
    link.send(forge(node))
    assert link.closed()[0] == 4400
    assert all(each.node_id not in (node.id, "mi-another") for each in edge.intake.reports)


def test_a_report_of_the_largest_size_is_taken(edge: Edge, node: Node, link: Link) -> None:
    room = wire.REPORT_LIMIT - len(canonical(to_wire(node.report(1, output="-")))) + 1
    link.send(node.report_frame(node.report(1, output="x" * room)))
    assert _acknowledged(link) == 1


def test_a_forged_report_behind_a_full_queue_ends_the_connection(edge: Edge, node: Node, link: Link) -> None:
    with contextlib.suppress(ConnectionClosed):
        link.send(_signed_by_another(node), *(node.report_frame(node.report(seq)) for seq in range(2, 40)))
    assert link.closed()[0] == 4400
    edge.intake.until(lambda: ("disconnected", node.id) in edge.intake.calls)


def test_a_report_that_is_refused_is_settled(edge: Edge, node: Node, link: Link) -> None:
    edge.intake.fail["reported"] = Refused("an association that nobody knows")
    link.send(node.report_frame(node.report(1)))
    assert _acknowledged(link) == 1


def test_with_the_store_away_the_agent_keeps_its_report(edge: Edge, node: Node, link: Link) -> None:
    edge.intake.fail["reported"] = Unavailable("the store")
    link.send(node.report_frame(node.report(1)))
    assert link.closed()[0] == 1013


def test_after_a_defect_later_reports_are_taken_and_none_acknowledged(edge: Edge, node: Node, link: Link) -> None:
    edge.intake.fail["reported"] = RuntimeError("a defect")
    link.send(node.report_frame(node.report(1)))
    edge.intake.until(lambda: ("reported", node.id) in edge.intake.calls)
    edge.intake.fail.clear()
    link.send(node.report_frame(node.report(2)))
    edge.intake.until(lambda: edge.intake.reports[-1:] == [node.report(2)])
    link.send(wire.Fetch(["sha256:none"]))
    assert link.receive()[0] == "missing"


# -- contents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, frames.CHUNK, frames.CHUNK + 1, frames.INITIAL_CREDIT * 3 + 17])
def test_contents_arrive_whole(edge: Edge, link: Link, size: int) -> None:
    data = os.urandom(size)
    link.send(wire.Fetch([edge.intake.keep(data)]))
    stream = _announced(link)
    assert (stream.digest, stream.size) == (digest(data), size)
    assert _whole(link, stream) == data


def test_what_the_intake_does_not_give_is_missing(edge: Edge, link: Link) -> None:
    edge.intake.keep(b"here")
    link.send(wire.Fetch(["sha256:none", digest(b"here")]))
    name, value = link.receive()
    assert (name, value["digest"]) == ("missing", "sha256:none")
    assert _whole(link, _announced(link)) == b"here"


def test_a_stream_stops_at_its_credit_and_control_frames_pass_it(edge: Edge, node: Node, link: Link) -> None:
    data = os.urandom(frames.INITIAL_CREDIT + 5)
    link.send(wire.Fetch([edge.intake.keep(data)]))
    stream = _announced(link)
    got = b"".join(link.chunk().data for _ in range(frames.INITIAL_CREDIT // frames.CHUNK))
    assert len(got) == frames.INITIAL_CREDIT
    newer = edge.intake.advance(node.id)
    edge.gateway.wake([node.id])
    assert link.assigned(edge.controller.public) == newer
    for left in (4, 3, 2, 1, 0):
        link.send(wire.Credit(stream.stream, 1))
        frame = link.chunk()
        assert (len(frame.data), frame.kind) == (1, frames.DATA if left else frames.END)
        got += frame.data
    assert got == data


def test_a_small_content_is_not_held_up_by_a_large_one(edge: Edge, link: Link) -> None:
    large, small = os.urandom(frames.CHUNK * 10), b"small"
    link.send(wire.Fetch([edge.intake.keep(large), edge.intake.keep(small)]))
    streams = {stream.stream: stream.digest for stream in (_announced(link), _announced(link))}
    order: list[str] = []
    while len(order) < 2:
        frame = link.chunk()
        if frame.kind == frames.END:
            order.append(streams[frame.stream])
    assert order == [digest(small), digest(large)]


def test_a_hundred_contents_with_few_in_memory_at_once(edge: Edge, link: Link) -> None:
    contents = {edge.intake.keep(os.urandom(2000)) for _ in range(100)}
    link.send(wire.Fetch(sorted(contents)))
    got: dict[int, bytes] = {}
    open_streams: dict[int, str] = {}
    done: set[str] = set()
    while len(done) < 100:
        message = link.socket.recv(timeout=10)
        if isinstance(message, str):
            stream = from_wire(wire.Stream, json.loads(message))
            open_streams[stream.stream] = stream.digest
            assert len(open_streams) <= connection_module.OPEN_STREAMS
            continue
        frame = frames.unpack(message)
        got[frame.stream] = got.get(frame.stream, b"") + frame.data
        if frame.kind == frames.END:
            assert digest(got[frame.stream]) == open_streams[frame.stream]
            done.add(open_streams.pop(frame.stream))
    assert done == contents


def test_contents_that_cannot_be_had(edge: Edge, node: Node) -> None:
    expected = ((Refused("not yours"), "missing"), (Unavailable("the store"), 1013), (RuntimeError("a defect"), 1011))
    for error, outcome in expected:
        with edge.dial() as link:
            link.greet(node, edge.controller.public)
            link.assigned(edge.controller.public)
            edge.intake.fail["content"] = error
            link.send(wire.Fetch(["sha256:any"]))
            assert (link.receive()[0] if outcome == "missing" else link.closed()[0]) == outcome
        edge.intake.fail.clear()


# -- misbehaviour ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        '{"no": "type"}',
        '{"type": "fetch"}',
        '{"type": "fetch", "digests": [7]}',
        '{"type": "credit", "stream": 1, "bytes": 5}',
        '{"type": "credit", "stream": "one", "bytes": 5}',
        '{"type": "report"}',
        '{"type": "report", "signed": {"payload": "?", "sig": "?"}}',
        '{"type": "report", "signed": {"payload": "\\u00ff", "sig": "\\u00fe"}}',
        '{"type": "held", "incarnation": true, "serial": 1}',
        '{"type": "pulse"}',
        "[" * 100_000,
        b"binary",
    ],
)
def test_garbage_ends_the_connection_with_a_reason_and_no_trace(
    edge: Edge, node: Node, link: Link, frame: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    link.send(frame)
    assert link.closed()[0] == 4400
    assert f"node {node.id} at 127.0.0.1" in caplog.text
    assert "ended with 4400" in caplog.text
    assert all(record.exc_info is None for record in caplog.records)


def test_a_frame_above_the_limit_ends_the_connection(link: Link) -> None:
    link.send("x" * (wire.FRAME_LIMIT + 1))
    assert link.closed()[0] == 1009


def test_text_that_is_not_utf8_ends_the_connection_without_a_trace(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    link.socket.send(b"\xff\xfe", text=True)
    assert link.closed()[0] == 1007
    assert all(record.exc_info is None for record in caplog.records)


def test_asking_for_too_much_at_once_ends_the_connection(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "WANTED_LIMIT", 10)
    link.send(wire.Fetch(["sha256:none"] * 11))
    assert link.closed()[0] == 4400


def test_frames_beyond_the_allowance_are_read_later(edge: Edge, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "FRAMES_AT_ONCE", 5.0)
    monkeypatch.setattr(connection_module, "FRAMES_PER_SECOND", 100.0)
    with edge.dial() as link:
        link.greet(node, edge.controller.public)
        link.assigned(edge.controller.public)
        link.send(*(wire.Fetch([f"sha256:{number}"]) for number in range(20)))
        assert [link.receive()[1]["digest"] for _ in range(20)] == [f"sha256:{number}" for number in range(20)]


def test_what_is_reserved_is_answered_and_what_is_unknown_ignored(link: Link) -> None:
    link.send('{"type": "from-a-later-version"}', *(json.dumps({"type": name}) for name in RESERVED))
    answers = [link.receive() for _ in RESERVED]
    assert [(name, value["what"]) for name, value in answers] == [("unsupported", name) for name in RESERVED]


def test_an_agent_may_say_what_it_does_not_support(node: Node, link: Link, caplog: pytest.LogCaptureFixture) -> None:
    link.send(wire.Unsupported("proof", "job-1"), wire.Fetch(["sha256:none"]))
    assert link.receive()[0] == "missing"
    assert f"node {node.id} does not support proof" in caplog.text


# -- orders ----------------------------------------------------------------------------------------------------------


def _envelope(node: Node, serial: int = 1) -> leave.Envelope:
    return leave.Envelope(1, FLEET, node.id, INCARNATION, serial, "2026-01-01T00:00:00.000Z", 60)


def test_an_ask_reaches_the_controller_and_its_answers_come_back_signed(edge: Edge, node: Node, link: Link) -> None:
    ask = leave.Ask("Association/scan", 2, "2026-01-01T00:00:00.000Z")
    postponed = leave.Postponed(ask.uid, ask.generation, ask.run_instant, "maxConcurrency 1: 1 of 3 at once")
    permit = leave.Permit(_envelope(node), ask.uid, ask.generation, ask.run_instant)
    link.send(ask)
    edge.intake.until(lambda: edge.intake.asks == [ask])
    edge.intake.ordered[node.id] = Orders(postponed=(postponed,))
    edge.gateway.wake([node.id])
    assert link.receive() == ("postponed", dict(to_wire(postponed), type="postponed"))
    edge.intake.ordered[node.id] = Orders(leave.Hold(_envelope(node, 7), "because"), (permit,), (postponed,))
    edge.gateway.wake([node.id])
    name, value = link.receive()
    hold = json.loads(verify(frames.signed_of(value), edge.controller.public, sshsig.HOLD))
    assert (name, hold["reason"], hold["envelope"]["serial"]) == ("hold", "because", 7)
    name, value = link.receive()
    granted = json.loads(verify(frames.signed_of(value), edge.controller.public, sshsig.JOB))
    assert (name, from_wire(leave.Permit, granted)) == ("permit", permit)
    link.send(ask)
    edge.intake.until(lambda: len(edge.intake.asks) == 2)
    edge.gateway.wake([node.id])
    assert link.receive()[0] == "permit", "whoever asks again is told again, and nothing else is"
    assert link.receive()[0] == "postponed"


def test_orders_are_sent_to_a_node_that_connects_before_its_set(edge: Edge, node: Node) -> None:
    edge.intake.ordered[node.id] = Orders(leave.Hold(_envelope(node), "because"))
    edge.intake.advance(node.id)
    with edge.dial() as link:
        link.greet(node, edge.controller.public)
        assert [link.receive()[0], link.receive()[0]] == ["hold", "assignments"]
