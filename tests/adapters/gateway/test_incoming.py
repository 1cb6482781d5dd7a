"""What jobs say, through the gateway: stored in order, under credit, and told back; and what breaks that is hung up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.contract import frames, job
from agent.contract.closing import MALFORMED
from agent.contract.codec import from_wire
from reconciler.core.effect import job_id
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.adapters.gateway.conftest import Edge
    from tests.adapters.gateway.peer import Link, Node


@pytest.fixture
def link(edge: Edge, node: Node) -> Iterator[Link]:
    """A link of `node` past its hello and its first set."""
    edge.intake.fail.clear()
    with edge.dial() as link:
        link.greet(node, edge.controller.public)
        link.assigned(edge.controller.public)
        yield link


def job_of(node: Node) -> str:
    return job_id(1_700_000_000_000, node.id.removeprefix("mi-").rjust(64, "0"))[:-12] + node.id[-12:]


def stored(link: Link) -> tuple[int, int, bool]:
    name, value = link.receive()
    assert name == "stored", (name, value)
    said = from_wire(job.Stored, value)
    return said.stream, said.offset, said.full


def chunk(stream: int, seq: int, data: bytes, kind: int = frames.DATA) -> bytes:
    return frames.pack(frames.StreamFrame(stream, seq, kind, data))


def test_what_is_said_is_stored_and_told_back(edge: Edge, node: Node, link: Link) -> None:
    known = job_of(node)
    link.send(job.Accepted(known), job.Output(1, known, "a", "stdout"))
    assert stored(link) == (1, 0, False)
    link.send(chunk(1, 0, b"hello "), chunk(1, 1, b"world"))
    assert [stored(link), stored(link)] == [(1, 6, False), (1, 11, False)]
    link.send(chunk(1, 2, b"", frames.END), job.Output(2, known, "a", "stdout"))
    assert stored(link) == (2, 11, False)
    assert edge.intake.outputs.read(known, "a", "stdout", 0, 100) == b"hello world"
    edge.intake.until(lambda: ("accepted", known) in edge.intake.calls)


def test_whole_chunks_are_told_back_now_and_then(edge: Edge, node: Node, link: Link) -> None:
    link.send(job.Output(1, job_of(node), "a", "stdout"))
    assert stored(link) == (1, 0, False)
    whole = bytes(frames.CHUNK)
    for seq in range(frames.INITIAL_CREDIT // frames.CHUNK):
        link.send(chunk(1, seq, whole))
    told = [stored(link)[1] for _ in range(4)]
    assert told == [frames.INITIAL_CREDIT // 4 * (part + 1) for part in range(4)]


def test_what_is_refused_is_full(edge: Edge, node: Node, link: Link) -> None:
    edge.intake.fail["output"] = Refused("it is not yours", "output")
    link.send(job.Output(1, job_of(node), "a", "stdout"))
    assert stored(link) == (1, 0, True)


@pytest.mark.parametrize("wrong", [
    [chunk(1, 0, b"x")],
    [job.Output(1, "", "a", "stdout"), chunk(1, 1, b"x")],
    [job.Output(1, "", "a", "stdout"), chunk(2, 0, b"x")],
    [job.Output(1, "", "a", "stdout"), job.Output(1, "", "b", "stdout")],
    [job.Output(1, "", "a", "stdout"), *(chunk(1, seq, bytes(900_000)) for seq in range(2))],
    [job.Output(number, "", "a", "stdout") for number in range(1, 66)],
    [b"x"],
])  # fmt: skip
def test_what_breaks_the_rules_is_hung_up(edge: Edge, node: Node, link: Link, wrong: list[object]) -> None:
    edge.intake.durable.set()
    link.send(
        *(
            job.Output(one.stream, job_of(node), one.step, one.name) if isinstance(one, job.Output) else one
            for one in wrong
        )
    )
    assert link.closed()[0] == MALFORMED
