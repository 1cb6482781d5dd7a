"""What every carrier keeps, whatever it is made of: messages whole and in order, pings answered, ends told apart."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from agent.contract import stdio
from agent.contract.canonical import digest
from agent.contract.wire import FRAME_LIMIT
from agent.host.wakener import Wakener
from agent.link import carrier as carriers
from agent.link.carrier import Carrier, Lost
from agent.link.stdio import StdioCarrier
from agent.link.websocket import TOO_BIG, Binary, Closed, Event, Text, Violation
from tests.agent.pki import Authority

PATIENCE = 20.0


class Peer(Protocol):
    """The other side. `receive` gives texts and bytes, `closed` waits for the end: a code and a reason."""

    def send(self, message: str | bytes) -> None: ...
    def receive(self) -> str | bytes: ...
    def ping(self) -> bool: ...
    def close(self, code: int, reason: str) -> None: ...
    def closed(self) -> tuple[int, str]: ...
    def hang_up(self) -> None: ...
    def send_too_much(self) -> None: ...


class WebSocketPeer:
    """The `websockets` library."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def send(self, message: str | bytes) -> None:
        self._connection.send(message)

    def receive(self) -> str | bytes:
        return self._connection.recv(PATIENCE)

    def ping(self) -> bool:
        return self._connection.ping().wait(PATIENCE)

    def close(self, code: int, reason: str) -> None:
        self._connection.close(code, reason)

    def closed(self) -> tuple[int, str]:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._connection.recv(PATIENCE)
        ended = self._connection.protocol
        assert ended.close_code is not None
        return ended.close_code, ended.close_reason or ""

    def hang_up(self) -> None:
        self._connection.socket.shutdown(socket.SHUT_RDWR)

    def send_too_much(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            self._connection.send(bytes(FRAME_LIMIT + 1))


class StdioPeer:
    """Frames over a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._end.settimeout(PATIENCE)
        self._framer = stdio.Framer()
        self._frames: list[stdio.Frame] = []

    def send(self, message: str | bytes) -> None:
        kind, data = (stdio.TEXT, message.encode()) if isinstance(message, str) else (stdio.BINARY, message)
        self._end.sendall(stdio.pack(kind, data))

    def receive(self) -> str | bytes:
        frame = self._next()
        return stdio.text_of(frame) if frame.kind == stdio.TEXT else frame.data

    def ping(self) -> bool:
        self._end.sendall(stdio.pack(stdio.PING))
        return self._next().kind == stdio.PONG

    def close(self, code: int, reason: str) -> None:
        self._end.sendall(stdio.pack_close(code, reason))

    def closed(self) -> tuple[int, str]:
        while True:
            frame = self._next()
            if frame.kind == stdio.CLOSE:
                return stdio.read_close(frame.data)

    def hang_up(self) -> None:
        self._end.close()

    def send_too_much(self) -> None:
        self._end.sendall(bytes([stdio.BINARY]) + (FRAME_LIMIT + 1).to_bytes(4, "big"))

    def _next(self) -> stdio.Frame:
        while not self._frames:
            self._frames += self._framer.feed(self._end.recv(65536))
        return self._frames.pop(0)


class Pair:
    """A carrier, and whoever is at its other end. Who reads does so on the test's thread, in small steps."""

    def __init__(self, carrier: Carrier, peer: Peer, wakener: Wakener, fingerprint: str) -> None:
        self.carrier, self.peer, self.wakener, self.fingerprint = carrier, peer, wakener, fingerprint

    def events(self, holds: Callable[[list[Event]], bool]) -> list[Event]:
        """Exchange until the events so far are what is waited for."""
        found: list[Event] = []
        while not holds(found):
            found += self.carrier.exchange(PATIENCE)
        return found

    def meanwhile(self, act: Callable[[], Any]) -> Any:
        """What the peer does, while the carrier sends and receives."""
        answers: queue.Queue[Any] = queue.Queue()

        def acting() -> None:
            try:
                answers.put(act())
            except BaseException as error:
                answers.put(error)
            self.wakener.wake()

        thread = threading.Thread(target=acting, daemon=True)
        thread.start()
        while answers.empty():
            self.carrier.exchange(0.2)
        thread.join()
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _websocket(directory: Path, stack: ExitStack, wakener: Wakener) -> Pair:
    authority = Authority()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.serve_as(directory)
    context.load_cert_chain(certificate)
    arrived: queue.Queue[ServerConnection] = queue.Queue()
    over = threading.Event()

    def handle(connection: ServerConnection) -> None:
        arrived.put(connection)
        over.wait(PATIENCE)

    server = stack.enter_context(
        serve(handle, "127.0.0.1", 0, ssl=context, compression=None, max_size=None, close_timeout=1)
    )
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    stack.callback(serving.join)
    stack.callback(server.shutdown)
    stack.callback(over.set)
    url = f"https://127.0.0.1:{server.socket.getsockname()[1]}"
    carrier = carriers.Servers([url], "/agent", authority.pem).open(url, wakener, PATIENCE)
    stack.callback(carrier.close)
    presented = ssl.PEM_cert_to_DER_cert(certificate.read_text().partition("-----END PRIVATE KEY-----\n")[2])
    return Pair(carrier, WebSocketPeer(arrived.get(timeout=PATIENCE)), wakener, digest(presented))


def _stdio(directory: Path, stack: ExitStack, wakener: Wakener) -> Pair:
    ours, theirs = socket.socketpair()
    stack.callback(theirs.close)
    carrier = StdioCarrier(os.dup(ours.fileno()), os.dup(ours.fileno()), wakener)
    ours.close()
    stack.callback(carrier.close)
    return Pair(carrier, StdioPeer(theirs), wakener, stdio.FINGERPRINT)


@pytest.fixture(params=[_websocket, _stdio], ids=["websocket", "stdio"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        wakener = Wakener()
        stack.callback(wakener.close)
        yield request.param(tmp_path, stack, wakener)


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    large = os.urandom(FRAME_LIMIT)
    sent: list[str | bytes] = ["first", large, "ünïcode", b"", "last"]

    def send() -> None:
        for message in sent:
            pair.peer.send(message)

    threading.Thread(target=send, daemon=True).start()
    events = pair.events(lambda found: len(found) == len(sent))
    whole = [event for event in events if isinstance(event, (Text, Binary))]
    assert [event.text if isinstance(event, Text) else event.data for event in whole] == sent
    assert whole == events


def test_what_is_said_arrives_though_nobody_hurries_to_read(pair: Pair) -> None:
    texts = [f"{number} {'x' * 5000}" for number in range(400)]
    for text in texts:
        pair.carrier.conversation.send_text(text)
    assert pair.meanwhile(lambda: [pair.peer.receive() for _ in texts]) == texts


def test_a_ping_is_answered(pair: Pair) -> None:
    assert pair.meanwhile(pair.peer.ping) is True


def test_the_peers_last_word_is_told(pair: Pair) -> None:
    threading.Thread(target=pair.peer.close, args=(4401, "who are you?"), daemon=True).start()
    assert pair.events(bool)[-1] == Closed(4401, "who are you?")


def test_our_last_word_is_sent_before_hanging_up(pair: Pair) -> None:
    pair.carrier.conversation.send_text("one more thing")
    pair.carrier.conversation.send_close(1001, "the agent stops")
    pair.carrier.conversation.send_text("nothing is sent after it")
    pair.carrier.close()
    assert pair.peer.receive() == "one more thing"
    assert pair.peer.closed() == (1001, "the agent stops")


def test_an_end_without_a_word_is_an_end_too(pair: Pair) -> None:
    pair.peer.hang_up()
    with contextlib.suppress(Lost):  # TLS tells a peer that left without a word from one that said goodbye
        assert pair.events(bool)[-1] == Closed(1006, "the connection ended")


def test_what_is_too_long_ends_it(pair: Pair) -> None:
    threading.Thread(target=pair.peer.send_too_much, daemon=True).start()
    with pytest.raises(Violation) as caught:
        pair.events(lambda _: False)
    assert caught.value.code in (TOO_BIG, 1002)


def test_a_wait_is_ended_from_another_thread(pair: Pair) -> None:
    pair.wakener.wake()
    assert pair.carrier.exchange(PATIENCE) == []


def test_a_hello_is_bound_to_the_kind_of_connection(pair: Pair) -> None:
    assert pair.carrier.fingerprint == pair.fingerprint
