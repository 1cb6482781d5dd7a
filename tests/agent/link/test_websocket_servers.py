"""The client against servers that share nothing with it, over TLS: two implementations of RFC 6455, and a liar."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.sync.server import Server, ServerConnection, serve

from agent.host.wakener import Wakener
from agent.link import websocket
from agent.link.carrier import Lost, WebSocketCarrier, open_carrier
from agent.link.websocket import Binary, Closed, Event, Pong, Text
from tests import faults
from tests.agent.pki import Authority

pytestmark = pytest.mark.fault

PATIENCE = 20.0
SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 300_000, 1_000_000)
LIES = faults.count(few=60, full=3_000)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def context(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.serve_as(tmp_path_factory.mktemp("tls")))
    return context


@contextlib.contextmanager
def of_websockets(context: ssl.SSLContext) -> Iterator[int]:
    """The library `websockets`, in threads."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)
        connection.close()

    server: Server = serve(echo, "127.0.0.1", 0, ssl=context, max_size=2**21, compression="deflate")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join(PATIENCE)


@contextlib.contextmanager
def of_wsproto(context: ssl.SSLContext) -> Iterator[int]:
    """The library `wsproto`, in uvicorn."""

    async def echo(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            text, data = event.get("text"), event.get("bytes")
            await send({"type": "websocket.send", **({"text": text} if text is not None else {"bytes": data})})

    config = uvicorn.Config(echo, ws="wsproto", lifespan="off", log_level="error", ws_max_size=2**21)
    config.load()
    config.ssl = context
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture(scope="module", params=[of_websockets, of_wsproto])
def port(request: pytest.FixtureRequest, context: ssl.SSLContext) -> Iterator[int]:
    with request.param(context) as port:
        yield port


@pytest.fixture
def carrier(port: int, authority: Authority) -> Iterator[WebSocketCarrier]:
    wakener = Wakener()
    carrier = open_carrier(f"https://127.0.0.1:{port}", "/", authority.pem, wakener, environ={})
    yield carrier
    carrier.close()
    wakener.close()


def heard(carrier: WebSocketCarrier, count: int) -> list[Event]:
    """The next events."""
    events: list[Event] = []
    for _ in range(10_000):
        events += carrier.exchange(PATIENCE if len(events) < count else 0)
        if len(events) >= count:
            return events
    raise AssertionError(f"only {len(events)} of {count} events came")


def test_messages_of_every_length_come_back_as_they_were(carrier: WebSocketCarrier) -> None:
    for size in SIZES:
        text, data = "ä" * (size // 2), random.Random(size).randbytes(size)
        carrier.conversation.send_text(text)
        carrier.conversation.send_binary(data)
        assert heard(carrier, 2) == [Text(text), Binary(data)]


def test_many_at_once_come_back_in_order(carrier: WebSocketCarrier) -> None:
    for number in range(500):
        carrier.conversation.send_text(f"{number}")
    assert heard(carrier, 500) == [Text(f"{number}") for number in range(500)]


def test_a_ping_is_answered(carrier: WebSocketCarrier) -> None:
    carrier.conversation.send_ping(b"there?")
    assert heard(carrier, 1) == [Pong(b"there?")]


def test_a_goodbye_is_answered(carrier: WebSocketCarrier) -> None:
    carrier.conversation.send_close(1000, "done")
    (closed,) = heard(carrier, 1)
    assert isinstance(closed, Closed)
    assert closed.code == 1000


class Liar:
    """Upgrades as it should, then says what it was given, once."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._listening, self._context = socket.create_server(("127.0.0.1", 0)), context
        self.port = self._listening.getsockname()[1]
        self.lie = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as tls:
                head = b""
                while b"\r\n\r\n" not in head and (data := tls.recv(4096)):
                    head += data
                tls.sendall(self._answer(head) + self.lie)

    @staticmethod
    def _answer(head: bytes) -> bytes:
        protocol = ServerProtocol()
        protocol.receive_data(head)
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        return b"".join(protocol.data_to_send())


@pytest.fixture
def liar(context: ssl.SSLContext) -> Iterator[Liar]:
    liar = Liar(context)
    yield liar
    liar.close()


def mutated(pick: random.Random) -> bytes:
    """Frames as a server sends them, then a few bytes changed, taken out, put in or cut off."""
    frames = bytearray()
    for _ in range(pick.randint(1, 4)):
        payload = pick.randbytes(pick.choice((0, 3, 125, 126, 2_000)))
        length = len(payload)
        head = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
        frames += bytes([pick.choice((0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0x8A))]) + head + payload
    for _ in range(pick.randint(0, 4)):
        at = pick.randrange(len(frames) + 1)
        change = pick.choice((b"", b"\x00", b"\xff", pick.randbytes(3)))
        frames[at : at + pick.randint(0, 2)] = change
    return bytes(frames[: pick.randint(0, len(frames))]) if pick.random() < 0.2 else bytes(frames)


def test_whatever_it_says_ends_in_events_a_violation_or_the_loss_of_the_connection(
    liar: Liar, authority: Authority
) -> None:
    seed = faults.seed()
    pick, ends = random.Random(seed), set()
    wakener = Wakener()
    for number in range(LIES):
        liar.lie = mutated(pick)
        carrier = open_carrier(f"https://127.0.0.1:{liar.port}", "/", authority.pem, wakener, environ={})
        try:
            while True:
                events = carrier.exchange(PATIENCE)
                if any(isinstance(event, Closed) for event in events):
                    ends.add("closed")
                    break
        except (Lost, websocket.Violation) as end:
            ends.add(type(end).__name__)
        except Exception as error:
            raise AssertionError(f"seed {seed}, lie {number}: {liar.lie!r}") from error
        finally:
            carrier.close(0.0)
    wakener.close()
    assert {"closed", "Violation"} <= ends
