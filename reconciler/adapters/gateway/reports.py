"""Reports of one agent, in order: verified, made durable, then acknowledged.

At most `QUEUED` wait; beyond that nothing more is read from the agent. An acknowledgement covers every earlier report,
so after one that could not be absorbed for a defect of ours the later ones are still taken in, but none is
acknowledged on this connection: the agent keeps them all and sends them again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections import deque
from typing import TYPE_CHECKING

from agent.contract import sshsig, wire
from agent.contract.closing import MALFORMED, TRY_LATER
from agent.contract.codec import Malformed, from_wire
from reconciler.adapters.gateway.hangup import Hangup
from reconciler.core.problem import Invalid, Refused, Unavailable, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.adapters.gateway.lanes import Lane
    from reconciler.core.node_ports import Intake
    from reconciler.core.ports import Verify

QUEUED = 8
_ENCODED_LIMIT = len(base64.b64encode(bytes(wire.REPORT_LIMIT)))

log = logging.getLogger(__name__)


class ReportDesk:
    """Takes in the reports of every agent of one fleet. Blocking; called from several threads."""

    def __init__(self, intake: Intake, verify: Verify, fleet_id: str) -> None:
        self._intake = intake
        self._verify = verify
        self._fleet_id = fleet_id

    def take(self, node_id: str, key: str, signed: wire.Signed) -> int:
        """Make one report durable; its seq. Raises `Hangup` for what is not this node's report, else as `Intake`.

        One that policy refuses is settled too: it would be refused again.
        """
        report = self._opened(node_id, key, signed)
        try:
            self._intake.reported(node_id, report)
        except (Refused, Invalid) as problem:
            log.warning("report %d of node %s on %s is not taken: %s", report.seq, node_id, report.uid, problem)
        return report.seq

    def _opened(self, node_id: str, key: str, signed: wire.Signed) -> wire.Report:
        if len(signed.payload) > _ENCODED_LIMIT:
            raise Hangup(MALFORMED, f"a report of more than {wire.REPORT_LIMIT} bytes")
        try:
            payload = self._verify(signed, key, sshsig.REPORT)
            report = from_wire(wire.Report, json.loads(payload), "report")
        except sshsig.BadSignature as error:
            raise Hangup(MALFORMED, f"a report that this node's key did not sign: {error}") from error
        except (Malformed, ValueError, RecursionError) as error:
            raise Hangup(MALFORMED, f"report: {error}") from error
        if (report.fleet_id, report.node_id) != (self._fleet_id, node_id):
            raise Hangup(MALFORMED, "a report of another fleet or node")
        return report


class ReportQueue:
    """The reports of one connection that wait for their turn. Costs next to nothing while empty."""

    __slots__ = (
        "_acknowledge",
        "_closed",
        "_desk",
        "_hang_up",
        "_key",
        "_lane",
        "_node_id",
        "_places",
        "_task",
        "_waiting",
        "_whole",
    )

    def __init__(
        self,
        desk: ReportDesk,
        lane: Lane,
        node_id: str,
        key: str,
        acknowledge: Callable[[int], None],
        hang_up: Callable[[Hangup], None],
    ) -> None:
        self._desk = desk
        self._lane = lane
        self._node_id = node_id
        self._key = key
        self._acknowledge = acknowledge
        self._hang_up = hang_up
        self._places = asyncio.Semaphore(QUEUED)
        self._waiting: deque[wire.Signed] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._whole = True

    async def put(self, signed: wire.Signed) -> None:
        """Queue one report; waits while the queue is full. After `close` it is dropped."""
        await self._places.acquire()
        if self._closed:
            return
        self._waiting.append(signed)
        if self._task is None:
            self._task = asyncio.create_task(self._drain())

    def close(self) -> None:
        """The connection ends: what is not durable yet will be sent again. Nobody waits for a place any more."""
        self._closed = True
        self._waiting.clear()
        for _ in range(QUEUED):
            self._places.release()

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._one(self._waiting.popleft())
                self._places.release()
        except Hangup as hangup:
            self.close()
            self._hang_up(hangup)
        finally:
            self._task = None

    async def _one(self, signed: wire.Signed) -> None:
        try:
            seq = await self._lane.begin(self._desk.take, self._node_id, self._key, signed)
        except Hangup:
            raise
        except (Unavailable, Waiting) as problem:
            raise Hangup(TRY_LATER, str(problem)) from problem
        except Exception:
            log.exception("a report of node %s could not be taken; it stays with the agent", self._node_id)
            self._whole = False
        else:
            if self._whole:
                self._acknowledge(seq)
