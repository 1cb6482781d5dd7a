"""What jobs of one agent say, on its way to the output store: each chunk follows the one before it, and is answered
with how much is stored. That is also the agent's leave to send on: a window beyond it, no more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.contract import frames
from agent.contract.codec import Malformed
from agent.contract.job import Output, Stored
from reconciler.core.problem import Problem

if TYPE_CHECKING:
    from reconciler.adapters.gateway.lanes import Lane
    from reconciler.core.node_ports import Intake

OPEN_STREAMS = 64
ANSWER_EVERY = frames.INITIAL_CREDIT // 4
"""Bytes after which the agent is told again how much is stored."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Flow:
    """One output: how far it came, how much of it the agent was told is stored, and whether any of it is taken."""

    output: Output
    at: int
    told: int
    seq: int = 0
    full: bool = False


class Incoming:
    """The open streams of one connection."""

    __slots__ = ("_flows", "_intake", "_lane", "_node_id")

    def __init__(self, intake: Intake, lane: Lane, node_id: str) -> None:
        self._intake, self._lane, self._node_id = intake, lane, node_id
        self._flows: dict[int, _Flow] = {}

    async def announced(self, output: Output) -> Stored:
        """A stream begins; where the agent is to go on. What is refused is full: the agent need not send it."""
        if output.stream in self._flows or len(self._flows) >= OPEN_STREAMS:
            raise Malformed(f"stream {output.stream} is open already, or one too many")
        kept, full = await self._store(output, 0, b"")
        self._flows[output.stream] = _Flow(output, kept, kept, full=full)
        return Stored(output.stream, kept, full)

    async def chunk(self, data: bytes) -> Stored | None:
        """One binary frame; what to answer, if anything yet. Raises `Malformed`."""
        frame = frames.unpack(data)
        flow = self._flows.get(frame.stream)
        if flow is None:
            raise Malformed(f"a chunk of stream {frame.stream}, which was not announced")
        if frame.seq != flow.seq:
            raise Malformed(f"chunk {frame.seq} of stream {frame.stream} came where {flow.seq} was due")
        if flow.at + len(frame.data) > flow.told + frames.INITIAL_CREDIT and not flow.full:
            raise Malformed(f"stream {frame.stream} came faster than there was credit")
        flow.seq += 1
        if frame.data and not flow.full:
            flow.at, flow.full = await self._store(flow.output, flow.at, frame.data)
        if frame.kind == frames.END:
            del self._flows[frame.stream]
            return None
        short = len(frame.data) < frames.CHUNK
        if not (flow.full or short or flow.at - flow.told >= ANSWER_EVERY):
            return None
        flow.told = flow.at
        return Stored(frame.stream, flow.at, flow.full)

    async def _store(self, output: Output, offset: int, data: bytes) -> tuple[int, bool]:
        try:
            return await self._lane.begin(self._intake.output, self._node_id, output, offset, data)
        except Problem as problem:
            log.warning("what job %s of node %s says is not kept: %s", output.job_id, self._node_id, problem)
            return offset + len(data), True
