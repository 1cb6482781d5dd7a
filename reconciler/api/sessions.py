"""A session's bytes between a client and the gateway: one WebSocket for each channel, admitted as any request is.

    client: {"type": "ticket", "signed": ..., channel, received, again, rows, columns, term}
    then, both ways, what `agent.contract.session` says: control frames as text, chunks as binary. `stream` is 0 here.

Close codes say what to do: 4403 it is over or refused, 4503 come again later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.contract import frames
from agent.contract.codec import Malformed, from_wire, to_wire
from agent.contract.session import WINDOW, Ended, Left, Opened, Opening, Resized, Signalled, Taken
from reconciler.core.problem import Problem, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.contract.session import Ticket
    from reconciler.adapters.gateway.channels import Channel
    from reconciler.api.authentication import Doorkeeper
    from reconciler.api.service import Service

OVER, AWAY = 4403, 4503
FIRST_SECONDS = 10.0
LOOK_SECONDS = 1.0
_FROM_CLIENTS = (Resized, Signalled, Left, Taken)

log = logging.getLogger(__name__)


class SessionFace:
    """Serves `routes.SESSION`. `channel` opens a stream to a node."""

    def __init__(
        self,
        service: Service,
        doorkeeper: Doorkeeper,
        channel: Callable[[str], Channel],
        stopping: Callable[[], bool],
    ) -> None:
        self._service, self._doorkeeper, self._channel, self._stopping = service, doorkeeper, channel, stopping

    async def serve(self, socket: WebSocket) -> None:
        """One channel, from its ticket to its end."""
        try:
            asker = self._doorkeeper.admit({**socket.scope, "method": "GET"}, socket.headers)
        except Problem as problem:
            await _denied(socket, problem)
            return
        await socket.accept()
        try:
            signed, opening = await _first(socket)
            admit = self._service.sessions.admit
            ticket = await run_in_threadpool(lambda: admit(asker.subject, signed, again=opening.again))
        except (Problem, Malformed, TimeoutError, WebSocketDisconnect) as error:
            await _close(socket, AWAY if isinstance(error, Unavailable) else OVER, str(error) or "no ticket came")
            return
        await self._carry(socket, ticket, frames.signed_control("ticket", signed), opening)

    async def _carry(self, socket: WebSocket, ticket: Ticket, text: str, opening: Opening) -> None:
        relay = None
        try:
            channel = self._channel(ticket.envelope.node_id)
            relay = _Relay(socket, channel)
            channel.say(json.dumps({**to_wire(replace(opening, stream=channel.stream)), **json.loads(text)}))
            await self._until_over(relay, ticket)
        except Problem as problem:
            await _close(socket, AWAY, str(problem))
        finally:
            up, down = (relay.up, relay.down) if relay is not None else (0, 0)
            over = relay is not None and relay.over and not opening.channel
            await run_in_threadpool(lambda: self._service.sessions.left(ticket, up, down, over=over))

    async def _until_over(self, relay: _Relay, ticket: Ticket) -> None:
        tasks = [asyncio.create_task(relay.to_node()), asyncio.create_task(relay.to_client())]
        tasks.append(asyncio.create_task(self._ended(ticket)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            relay.channel.close()
        codes = [task.result() for task in done if not task.cancelled()]
        code, reason = max(codes)
        if code:
            await _close(relay.socket, code, reason)

    async def _ended(self, ticket: Ticket) -> tuple[int, str]:
        """Waits until the session was ended, or the server ends."""
        while not self._service.sessions.is_over(ticket.ticket_id):
            if self._stopping():
                return AWAY, "the server restarts"
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(LOOK_SECONDS)  # the node's own word on it says more
        return OVER, "the session was ended"


class _Relay:
    """Both directions of one channel, and how many bytes went each way."""

    def __init__(self, socket: WebSocket, channel: Channel) -> None:
        self.socket, self.channel = socket, channel
        self.up = self.down = 0
        self._at: int | None = None
        self._taken = 0
        self.over = False

    async def to_node(self) -> tuple[int, str]:
        """Until the client is gone. A client that breaks the rules is gone too."""
        try:
            while True:
                message = await self.socket.receive()
                if message["type"] != "websocket.receive":
                    return 0, ""
                data, text = message.get("bytes"), message.get("text")
                if data is not None:
                    self._chunk(data)
                elif text is not None:
                    self._control(text)
        except Malformed as error:
            return OVER, str(error)

    def _chunk(self, data: bytes) -> None:
        """Passed on where the client may say it: what waits on its way to the node is at most a window."""
        frame = frames.unpack(data)
        if self._at is None or len(frame.data) > frames.CHUNK:
            raise Malformed(f"a chunk of {len(frame.data)} bytes, too large or too early")
        self._at += len(frame.data)
        self.up += len(frame.data)
        if self._at - self._taken > WINDOW:
            raise Malformed("more came than was acknowledged")
        self.channel.say(data)

    def _told(self, name: str, value: dict[str, Any]) -> None:
        if name == "opened":
            self._at = self._taken = from_wire(Opened, value).received
        elif name == "taken":
            self._taken = from_wire(Taken, value).offset

    def _control(self, text: str) -> None:
        name, value = frames.read_control(text)
        if name not in frames.CONTROL:
            return
        message = frames.plain(name, value)
        if not isinstance(message, _FROM_CLIENTS):
            raise Malformed(f"a client says no {name}")
        self.over = self.over or (isinstance(message, Left) and message.for_good)
        self.channel.say(frames.control(replace(message, stream=self.channel.stream)))

    async def to_client(self) -> tuple[int, str]:
        """Until the node is gone, or says that it is over."""
        try:
            while (frame := await self.channel.heard()) is not None:
                if isinstance(frame, bytes):
                    self.down += max(0, len(frame) - 9)
                    await self.socket.send_bytes(frame)
                    continue
                await self.socket.send_text(frame)
                name, value = frames.read_control(frame)
                self._told(name, value)
                if name == "ended":
                    self.over = True
                    return OVER, from_wire(Ended, value).reason or "it is over"
        except (OSError, RuntimeError, WebSocketDisconnect):
            return 0, ""
        return AWAY, "the node is not connected"


async def _first(socket: WebSocket) -> tuple[Any, Opening]:
    async with asyncio.timeout(FIRST_SECONDS):
        message = await socket.receive()
    text = message.get("text")
    if not isinstance(text, str):
        raise Malformed("a ticket has to come first")
    name, value = frames.read_control(text)
    if name != "ticket":
        raise Malformed("a ticket has to come first")
    return frames.signed_of(value), from_wire(Opening, {**value, "stream": 0}, "ticket")


async def _denied(socket: WebSocket, problem: Problem) -> None:
    """Told after accepting, since a refused handshake cannot say why."""
    await socket.accept()
    await _close(socket, OVER, str(problem))


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    cut = reason.encode("utf-8", "replace")[:120].decode("utf-8", "ignore")
    with contextlib.suppress(OSError, RuntimeError, WebSocketDisconnect):
        await socket.close(code, cut)
