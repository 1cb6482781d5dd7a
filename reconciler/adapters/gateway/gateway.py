"""The gateway: an ASGI app that agents connect to, and the `Bus` that reaches them.

It knows who is here and hands on what they say; it decides nothing. Paths that are not the agents' go to `beside`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.contract import stdio
from agent.contract.closing import (
    MALFORMED,
    OTHER_NODE,
    OTHER_PROTOCOL,
    REPLACED,
    TOO_SLOW,
    TRY_LATER,
    UNAUTHENTICATED,
)
from reconciler.adapters.gateway import handshake
from reconciler.adapters.gateway.connection import Connection, Services
from reconciler.adapters.gateway.enrolment import Enrolments
from reconciler.adapters.gateway.hangup import Hangup, defective
from reconciler.adapters.gateway.lanes import Lanes
from reconciler.adapters.gateway.orders import SignedOrders
from reconciler.adapters.gateway.releases import Program, Releases
from reconciler.adapters.gateway.reports import ReportDesk
from reconciler.adapters.gateway.sets import SignedSet, SignedSets
from reconciler.adapters.gateway.streams import StreamSocket
from reconciler.core.problem import Problem, Refused, Unavailable, Waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from agent.contract.wire import Hello
    from reconciler.adapters.gateway.channels import Channel
    from reconciler.core.node_ports import Guest, Intake, Stream
    from reconciler.core.ports import Signer, Verify

    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[None]]
    App = Callable[[Any, Receive, Send], Awaitable[None]]

PATH = "/agent"
HELLO_SECONDS = 10.0
VISIT_HELLO_SECONDS = 60.0
"""As `HELLO_SECONDS`, of an agent that the server has only just started, on a machine that may be slow or busy."""
STRANGERS = 2000
"""Connections at once whose hello has not been proven; more are asked to come back later."""

PUSHERS = 8
"""Sets being looked up, signed and sent at once, however many nodes a wake names."""

AGAIN_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this server is. `fingerprints` yields the digests of the DER certificates that TLS presents just now.

    `program` is the agent that it offers to nodes.
    """

    fleet_id: str
    signer: Signer
    fingerprints: Callable[[], Collection[str]]
    ca_pem: bytes
    program: Program | None = None


class Gateway:
    """Serves agents; `wake` may be called from any thread, everything else runs on the server's event loop."""

    def __init__(self, intake: Intake, identity: Identity, verify: Verify, beside: App | None = None) -> None:
        self._intake = intake
        self._identity = identity
        self._verify = verify
        self._beside = beside
        self._lanes = Lanes()
        self._sets = SignedSets(intake, identity.signer)
        self._orders = SignedOrders(intake, identity.signer)
        reports = ReportDesk(intake, verify, identity.fleet_id)
        self._services = Services(intake, self._lanes, reports, self._orders)
        self._enrolments = Enrolments(intake, self._lanes.answers, identity.ca_pem)
        program = identity.program
        self._releases = Releases(program, identity.signer, self._lanes.answers) if program is not None else None
        self._here: dict[str, Connection] = {}
        self._strangers = 0
        self._woken: dict[str, None] = {}
        self._pushers: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or one WebSocket, as ASGI."""
        self._loop = self._loop or asyncio.get_running_loop()
        path, kind = scope.get("path"), scope["type"]
        if kind == "websocket" and path == PATH:
            await self._agent(_peer(scope), receive, send)
        elif kind == "http" and path in self._enrolments.paths:
            await self._enrolments(scope, receive, send)
        elif kind == "http" and self._releases is not None and path in self._releases.paths:
            await self._releases(scope, send)
        elif self._beside:
            await self._beside(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close"})
        elif kind == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    def serve_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Where agents are served: known from here on, or else from the first request."""
        self._loop = loop

    def attend(self, stream: Stream, peer: str, guest: Guest) -> str:
        """Converse with an agent over a stream until it has gone; its node's id. Blocking, for a thread of its own.

        Raises `Unavailable` where the conversation did not come to its end, `Refused` where it never will.
        """
        if self._loop is None or self._loop.is_closed():
            raise Unavailable("the gateway", "it is not serving")
        socket = StreamSocket(stream, peer, guest, self._identity.ca_pem.decode())
        try:
            return asyncio.run_coroutine_threadsafe(self._visited(socket), self._loop).result()
        finally:
            socket.close()

    def wake(self, node_ids: Iterable[str]) -> None:
        """These nodes' sets or orders changed: send the new ones to those that are connected here."""
        if self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._mark, tuple(node_ids))

    def channel(self, node_id: str) -> Channel:
        """A new stream to a node, for a session's client. On the event loop. Raises `Unavailable`."""
        connection = self._here.get(node_id)
        channel = connection.channel() if connection is not None else None
        if channel is None:
            raise Unavailable("the node", "it is not connected to this gateway, or has too many streams", 1.0)
        return channel

    @property
    def connected(self) -> int:
        """How many agents are here."""
        return len(self._here)

    def close(self) -> None:
        """After the server has stopped: let calls under way end."""
        self._lanes.close()

    # -- one agent -----------------------------------------------------------------------------------------------

    async def _agent(self, peer: str, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        try:
            hello, key = await self._greeted(receive, send, self._identity.fingerprints(), HELLO_SECONDS)
        except Hangup as hangup:
            log.warning("an agent at %s: turned away with %d: %s", peer, hangup.code, hangup.reason)
            await send(hangup.frame())
        except (_Gone, OSError):
            log.info("an agent at %s: gone before its hello", peer)
        else:
            await self._attend(Connection(self._services, hello, key, peer, send), hello, receive)

    async def _visited(self, socket: StreamSocket) -> str:
        try:
            await socket.begin()
            hello, key = await self._greeted(socket.receive, socket.send, (stdio.FINGERPRINT,), VISIT_HELLO_SECONDS)
            if hello.node_id != socket.node_id:
                raise Hangup(OTHER_NODE, f"the machine is node {hello.node_id}, not {socket.node_id or 'a new one'}")
        except Hangup as hangup:
            await socket.send(hangup.frame())
            raise _told(socket.peer, hangup.code, hangup.reason) from None
        except (_Gone, OSError):
            raise _told(socket.peer, *socket.farewell) from None
        connection = Connection(self._services, hello, key, socket.peer, socket.send)
        await self._attend(connection, hello, socket.receive)
        if connection.hangup is not None:
            raise _told(socket.peer, connection.hangup.code, connection.hangup.reason)
        if not socket.ended_well:
            raise _told(socket.peer, *socket.farewell)
        return hello.node_id

    async def _greeted(
        self, receive: Receive, send: Send, fingerprints: Collection[str], seconds: float
    ) -> tuple[Hello, str]:
        """The hello and the key that proved it. Raises `Hangup`, or `_Gone` when the peer leaves."""
        if self._strangers >= STRANGERS:
            raise Hangup(TRY_LATER, "too many connections are at their hello")
        self._strangers += 1
        try:
            return await self._greet(receive, send, fingerprints, seconds)
        finally:
            self._strangers -= 1

    async def _greet(
        self, receive: Receive, send: Send, fingerprints: Collection[str], seconds: float
    ) -> tuple[Hello, str]:
        nonce = secrets.token_urlsafe(32)
        await send({"type": "websocket.send", "text": handshake.challenge(self._identity.fleet_id, nonce)})
        claimed = handshake.read_hello(await _first_text(receive, seconds))
        expected = handshake.Expected(self._identity.fleet_id, fingerprints, nonce)
        key, welcome = await self._lanes.answers.begin(self._proven, claimed, expected)
        await send({"type": "websocket.send", "text": welcome})
        return claimed.hello, key

    def _proven(self, claimed: handshake.Claimed, expected: handshake.Expected) -> tuple[str, str]:
        """(the node's key, the welcome). Blocking: the key is looked up, two signatures are computed."""
        try:
            key = self._intake.node_key(claimed.hello.node_id)
        except Problem as problem:
            raise Hangup(TRY_LATER, str(problem)) from problem
        except Exception as error:
            log.exception("the key of a node could not be looked up")
            raise defective() from error
        if key is None:
            raise Hangup(UNAUTHENTICATED, "this server does not know the node (enrol it again, or was it retired?)")
        transcript = handshake.proven(claimed, key, expected, self._verify)
        return key, handshake.welcome(transcript, self._identity.signer)

    async def _attend(self, connection: Connection, hello: Hello, receive: Receive) -> None:
        node_id = connection.node_id
        older = self._here.get(node_id)
        self._here[node_id] = connection
        if older:
            older.hang_up(Hangup(REPLACED, f"the node connected again from {connection.peer}"))
        arrival = self._lanes.presence.begin(self._intake.connected, hello)
        arrival.add_done_callback(lambda done: self._arrived(connection, done))
        try:
            await connection.run(receive)
        finally:
            if self._here.get(node_id) is connection:
                del self._here[node_id]
                self._lanes.presence.begin(self._left, node_id)

    def _arrived(self, connection: Connection, done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is None:
            self._mark((connection.node_id,))
        elif isinstance(error, Problem):
            connection.hang_up(Hangup(TRY_LATER, str(error)))
        else:
            log.error("node %s could not be taken in", connection.node_id, exc_info=error)
            connection.hang_up(defective())

    def _left(self, node_id: str) -> None:
        try:
            self._intake.disconnected(node_id)
        except Exception:
            log.exception("that node %s left was not taken in", node_id)

    # -- new sets ------------------------------------------------------------------------------------------------

    def _mark(self, node_ids: Iterable[str]) -> None:
        self._woken.update((node_id, None) for node_id in node_ids if node_id in self._here)
        for _ in range(min(PUSHERS - len(self._pushers), len(self._woken))):
            pusher = asyncio.get_running_loop().create_task(self._push_all())
            self._pushers.add(pusher)
            pusher.add_done_callback(self._pushers.discard)

    async def _push_all(self) -> None:
        while self._woken:
            node_id = next(iter(self._woken))
            del self._woken[node_id]
            connection = self._here.get(node_id)
            if connection:
                await self._push_orders(connection)
                await self._push(connection)

    async def _push_orders(self, connection: Connection) -> None:
        """Orders go first: a hold has to be there before anything that it keeps back."""
        node_id = connection.node_id
        try:
            news = await self._lanes.answers.begin(self._orders.news, node_id, connection.sent)
        except Exception as error:
            log.warning("the orders of node %s: %s", node_id, error, exc_info=error)
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._mark, (node_id,))
        else:
            for order in news:
                connection.tell(order)

    async def _push(self, connection: Connection) -> None:
        node_id, held = connection.node_id, connection.version
        try:
            desired = await self._lanes.answers.begin(self._sets.desired, node_id, held)
        except Refused as problem:
            log.warning("node %s is given nothing: %s", node_id, problem)
        except Exception as error:
            known = isinstance(error, (Unavailable, Waiting))
            log.warning("the set of node %s: %s", node_id, error, exc_info=None if known else error)
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._mark, (node_id,))
        else:
            if isinstance(desired, SignedSet):
                connection.offer(desired)
            elif desired < held:
                log.warning("node %s holds set %s, ahead of this server's %s: was it restored?", node_id, held, desired)


def _told(peer: str, code: int, reason: str) -> Problem:
    """Why a visit failed: `Refused` where the same would be said again."""
    if code in (MALFORMED, OTHER_NODE, UNAUTHENTICATED, OTHER_PROTOCOL):
        return Refused(f"{peer}: {reason}", "visit")
    return Unavailable(peer, reason)


class _Gone(Exception):
    """The peer left before its hello was whole."""


async def _first_text(receive: Receive, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError as error:
        raise Hangup(TOO_SLOW, f"no hello within {seconds:.0f} s") from error
    if message["type"] != "websocket.receive":
        raise _Gone
    text = message.get("text")
    if not isinstance(text, str):
        raise Hangup(MALFORMED, "a binary frame in place of the hello")
    return text


def _peer(scope: Any) -> str:
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "unknown"
