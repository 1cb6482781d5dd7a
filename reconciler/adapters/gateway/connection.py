"""One authenticated agent: what it sends is handled as it comes, what it is sent goes through one task that exists
only while there is something to send. An idle agent is a few hundred bytes here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.contract import frames, inventory, job, leave, session, wire
from agent.contract.closing import MALFORMED, TOO_SLOW, TRY_LATER
from agent.contract.codec import Malformed
from agent.contract.reserved import RESERVED
from reconciler.adapters.gateway.channels import Channel, Channels
from reconciler.adapters.gateway.hangup import Hangup, defective
from reconciler.adapters.gateway.incoming import Incoming
from reconciler.adapters.gateway.outgoing import Outgoing
from reconciler.adapters.gateway.reports import ReportDesk, ReportQueue
from reconciler.adapters.gateway.sets import SignedSet, Version
from reconciler.core.allowance import Allowance
from reconciler.core.problem import Refused, Unavailable, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from reconciler.adapters.gateway.lanes import Lanes
    from reconciler.adapters.gateway.orders import Order, SignedOrders
    from reconciler.core.node_ports import Intake

FRAMES_PER_SECOND, FRAMES_AT_ONCE = 500.0, 2000.0
QUESTIONS_PER_SECOND, QUESTIONS_AT_ONCE = 1.0, 20.0
"""Documents found on a node that are compiled for it; beyond the allowance its frames are read later."""
FRAME_UNIT = 8192
"""A frame counts once, and once more per this many characters; beyond the allowance it is read later."""

UNSENT_LIMIT = 512
WANTED_LIMIT = 10_000
ORDERS_REMEMBERED = 256
OPEN_STREAMS = 4
"""Contents in memory for one agent at a time; the rest of what it asked for is a list of digests."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What every connection of one gateway shares."""

    intake: Intake
    lanes: Lanes
    reports: ReportDesk
    orders: SignedOrders


class Connection:
    """The link to one agent whose hello was proven. `run` lasts as long as it does."""

    __slots__ = (
        "_channels",
        "_control",
        "_ended",
        "_hangup",
        "_incoming",
        "_key",
        "_outgoing",
        "_pace",
        "_questions",
        "_reports",
        "_send",
        "_sender",
        "_sent",
        "_services",
        "_streamed",
        "_wanted",
        "node_id",
        "peer",
        "version",
    )

    def __init__(
        self,
        services: Services,
        hello: wire.Hello,
        key: str,
        peer: str,
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        self.node_id = hello.node_id
        self.peer = peer
        self.version = Version(hello.incarnation, hello.serial)
        self._services = services
        self._key = key
        self._send = send
        self._questions: Allowance | None = None
        self._pace = Allowance(FRAMES_PER_SECOND, FRAMES_AT_ONCE, _now())
        self._control: deque[str] = deque()
        self._wanted: deque[str] | None = None
        self._outgoing: Outgoing | None = None
        self._incoming: Incoming | None = None
        self._reports: ReportQueue | None = None
        self._channels: Channels | None = None
        self._streamed: deque[str | bytes] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._hangup: Hangup | None = None
        self._ended = False
        self._sent: set[Hashable] = set()

    async def run(self, receive: Callable[[], Awaitable[Any]]) -> None:
        """Handle what the agent sends until either side ends the connection."""
        try:
            while True:
                message = await receive()
                if message["type"] != "websocket.receive" or self._hangup:
                    return
                text = message.get("text")
                await (self._handle(text) if text is not None else self._chunk(message.get("bytes") or b""))
        except Hangup as hangup:
            self.hang_up(hangup)
        finally:
            if self._reports:
                self._reports.close()
            if self._channels:
                self._channels.part()
            await self._settle()
            self._ended = True

    @property
    def hangup(self) -> Hangup | None:
        """Why this side ended the connection, None where it did not."""
        return self._hangup

    def offer(self, newer: SignedSet) -> None:
        """Send a set, unless one as new was sent already (two wakes may overtake each other)."""
        if newer.version > self.version:
            self.version = newer.version
            self._say(newer.frame)

    @property
    def sent(self) -> frozenset[Hashable]:
        """The orders that were sent on this connection."""
        return frozenset(self._sent)

    def tell(self, order: Order) -> None:
        """Send an order, unless it was sent meanwhile."""
        what, frame = order
        if what not in self._sent:
            if len(self._sent) >= ORDERS_REMEMBERED:
                self._sent.clear()  # what counts still is sent again, and known there
            self._sent.add(what)
            self._say(frame)

    def channel(self) -> Channel | None:
        """A new stream for a session's client; None where there are too many."""
        if self._ended or self._hangup:
            return None
        if self._channels is None:
            self._channels = Channels(self._stream)
        return self._channels.open()

    def hang_up(self, hangup: Hangup) -> None:
        """End the connection, after the frame being sent now."""
        if self._hangup is None:
            self._hangup = hangup
            log.warning("node %s at %s: ended with %d: %s", self.node_id, self.peer, hangup.code, hangup.reason)
            self._wake_sender()

    # -- what the agent sends ------------------------------------------------------------------------------------

    async def _handle(self, text: str) -> None:
        await self._keep_pace(len(text))
        try:
            name, value = frames.read_control(text)
            if name == "report":
                await self._queue().put(frames.signed_of(value))
            elif name in frames.CONTROL:
                await self._plain(frames.plain(name, value))
            elif name in RESERVED:
                self._say(frames.control(wire.Unsupported(name)))
        except Malformed as error:
            raise Hangup(MALFORMED, str(error)) from error

    async def _chunk(self, data: bytes) -> None:
        """A chunk of what a job says: nothing more is read from the agent until it is stored. Or one of a session,
        which is passed on; its pace is its client's, by whose leave alone it is sent.
        """
        try:
            stream = frames.stream_of(data)
            if stream >= session.FIRST_STREAM:
                if self._channels is not None:
                    self._channels.chunk(stream, data)
                return
            await self._keep_pace(len(data))
            if self._incoming is None:
                raise Malformed("a binary frame, where nothing was announced")
            answer = await self._incoming.chunk(data)
        except Malformed as error:
            raise Hangup(MALFORMED, str(error)) from error
        if answer is not None:
            self._say(frames.control(answer))

    async def _keep_pace(self, size: int) -> None:
        debt = self._pace.spend(_now(), 1 + size // FRAME_UNIT)
        if debt:
            await asyncio.sleep(debt)

    async def _plain(self, message: Any) -> None:
        if isinstance(message, wire.Fetch):
            self._want(message.digests)
        elif isinstance(message, wire.Credit):
            self._streams().credit(message.stream, message.bytes_)
            self._wake_sender()
        elif isinstance(message, wire.Held):
            await self._tell(self._services.intake.held, message)
        elif isinstance(message, wire.Pulse):
            await self._tell(self._services.intake.pulsed, message)
        elif isinstance(message, leave.Ask):
            self._sent -= {what for what in self._sent if _answers(what, message)}
            await self._tell(self._services.intake.asked, message)
        elif isinstance(message, job.Accepted):
            await self._tell(self._services.intake.accepted, message)
        elif isinstance(message, job.Revoked):
            await self._tell(self._services.intake.revoked, message)
        elif isinstance(message, job.Output):
            self._say(frames.control(await self._said().announced(message)))
        elif isinstance(message, inventory.Inventory):
            await self._inventoried(message)
        elif isinstance(message, job.Compile):
            await self._answer(message)
        elif isinstance(message, (session.Opened, session.Taken, session.Ended)):
            if self._channels is not None:
                self._channels.control(message)
        elif isinstance(message, wire.Unsupported):
            log.warning("node %s does not support %s (%s)", self.node_id, message.what, message.ref)

    async def _inventoried(self, said: inventory.Inventory) -> None:
        """Nothing more is read from the agent until it is kept. Without an answer it is said again some other time."""
        try:
            answer = await self._services.lanes.outputs.begin(self._services.intake.inventoried, self.node_id, said)
        except Refused as problem:
            log.warning("inventory of node %s is not taken: %s", self.node_id, problem)
            answer = inventory.Inventoried(said.type_name, said.content_hash, refused=True)
        except Exception as error:
            _log_failure(f"inventory of node {self.node_id} was not taken in", error)
            return
        self._say(frames.control(answer))

    async def _answer(self, question: job.Compile) -> None:
        """What a document found on the node means. Where nobody can say, the agent asks again later."""
        if self._questions is None:
            self._questions = Allowance(QUESTIONS_PER_SECOND, QUESTIONS_AT_ONCE, _now())
        debt = self._questions.spend(_now())
        if debt:
            await asyncio.sleep(debt)
        try:
            frame = await self._services.lanes.answers.begin(self._services.orders.compiled, self.node_id, question)
        except Exception as error:
            _log_failure(f"a document of node {self.node_id} was not compiled", error)
        else:
            self._say(frame)

    async def _tell(self, call: Callable[[str, Any], None], message: Any) -> None:
        try:
            await self._services.lanes.presence.begin(call, self.node_id, message)
        except Exception as error:
            _log_failure(f"what node {self.node_id} says of itself was not taken in", error)

    def _want(self, digests: list[str]) -> None:
        if self._wanted is None:
            self._wanted = deque()
        self._wanted.extend(digests)
        if len(self._wanted) > WANTED_LIMIT:
            raise Hangup(MALFORMED, f"asked for more than {WANTED_LIMIT} contents at once")
        self._wake_sender()

    def _queue(self) -> ReportQueue:
        if self._reports is None:
            self._reports = ReportQueue(
                self._services.reports,
                self._services.lanes.reports,
                self.node_id,
                self._key,
                lambda seq: self._say(frames.control(wire.Ack(seq))),
                self.hang_up,
            )
        return self._reports

    def _said(self) -> Incoming:
        if self._incoming is None:
            self._incoming = Incoming(self._services.intake, self._services.lanes.outputs, self.node_id)
        return self._incoming

    def _streams(self) -> Outgoing:
        if self._outgoing is None:
            self._outgoing = Outgoing()
        return self._outgoing

    # -- what the agent is sent ----------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._control.append(text)
        if len(self._control) > UNSENT_LIMIT:
            self.hang_up(Hangup(TOO_SLOW, "the agent does not read what it is sent"))
        self._wake_sender()

    def _stream(self, frame: str | bytes) -> None:
        if self._streamed is None:
            self._streamed = deque()
        self._streamed.append(frame)
        self._wake_sender()

    def _wake_sender(self) -> None:
        if self._sender is None and not self._ended:
            self._sender = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while await self._send_next():
                pass  # until nothing is left to send
        except OSError:
            pass  # the peer is gone: `run` is told so by its own receive
        except Exception as error:
            _log_failure(f"node {self.node_id} could not be served", error)
            await self._part(defective())
        finally:
            self._sender = None

    async def _send_next(self) -> bool:
        """One frame, by urgency: the end, control, contents asked for, a chunk. False when there is nothing."""
        if self._hangup:
            await self._part(self._hangup)
            return False
        if self._control:
            await self._send({"type": "websocket.send", "text": self._control.popleft()})
            return True
        if self._wanted and len(self._streams()) < OPEN_STREAMS:
            await self._open(self._wanted.popleft())
            return True
        if self._streamed:
            await self._send(_message(self._streamed.popleft()))
            return True
        frame = self._outgoing.next_frame() if self._outgoing else None
        if frame is None:
            return False
        await self._send({"type": "websocket.send", "bytes": frame})
        return True

    async def _open(self, digest: str) -> None:
        try:
            data = await self._services.lanes.answers.begin(self._services.intake.content, self.node_id, digest)
        except (Unavailable, Waiting) as problem:
            self.hang_up(Hangup(TRY_LATER, str(problem)))
            return
        except Refused as problem:
            log.warning("node %s is not given %s: %s", self.node_id, digest, problem)
            data = None
        answer = wire.Missing(digest) if data is None else self._streams().open(digest, data)
        self._control.append(frames.control(answer))

    async def _part(self, hangup: Hangup) -> None:
        self._ended = True
        await self._send(hangup.frame())

    async def _settle(self) -> None:
        """Let the farewell go out where there is one; stop whatever else is being sent."""
        if self._sender is not None:
            if self._hangup is None:
                self._sender.cancel()
            await asyncio.wait((self._sender,))


def _answers(order: Hashable, ask: leave.Ask) -> bool:
    """Whether an order is an answer to this: whoever asks again did not hear it."""
    run = (ask.uid, ask.generation, ask.run_instant)
    if isinstance(order, leave.Postponed):
        return (order.uid, order.generation, order.run_instant) == run
    return order == ("permit", *run)


def _message(frame: str | bytes) -> dict[str, Any]:
    return {"type": "websocket.send", "text" if isinstance(frame, str) else "bytes": frame}


def _now() -> float:
    return asyncio.get_running_loop().time()


def _log_failure(what: str, error: Exception) -> None:
    if isinstance(error, (Unavailable, Waiting, Refused)):
        log.warning("%s: %s", what, error)
    else:
        log.error("%s", what, exc_info=error)
