"""What carries a conversation, and the usual one: a WebSocket over TLS. One thread reads and writes, others wake it."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import ssl
import time
from typing import Iterator, List, Mapping, Optional, Protocol

from agent.contract.canonical import digest
from agent.host.wakener import Wakener
from agent.link import dial, websocket
from agent.link.websocket import Conversation, Event

READ_SIZE = 64 * 1024
READS_AT_ONCE = 16
UNSENT_LIMIT = 16 * 1024 * 1024


class Lost(Exception):
    """The connection is gone, or was never what it should be; the message says what happened."""


class Sending(Protocol):
    """Takes what is to be sent; `outgoing` is what of it the socket has not taken yet."""

    outgoing: bytearray

    def send_text(self, text: str) -> None: ...
    def send_binary(self, data: bytes) -> None: ...
    def send_ping(self) -> None: ...
    def send_close(self, code: int, reason: str = "") -> None: ...


class Carrier(Protocol):
    """An open connection. `conversation` takes what is to be sent; `exchange` moves bytes both ways."""

    @property
    def fingerprint(self) -> str:
        """What this connection is known by in the transcript of the hello."""

    @property
    def conversation(self) -> Sending: ...

    def exchange(self, timeout: float) -> List[Event]:
        """Send what waits and read what came, waiting `timeout` seconds at most for either or for the wakener.

        Raises Lost, `websocket.Violation`.
        """

    def close(self, seconds: float = 1.0) -> None:
        """Send what waits (a close frame, say) for a moment, then hang up."""


class Door(Protocol):
    """Where a link gets its connections."""

    def addresses(self) -> Iterator[str]:
        """Where to connect to, one attempt each, for as long as the link is to try."""

    def open(self, address: str, wakener: Wakener, timeout: float) -> Carrier:
        """Raises Lost with what stood in the way."""


class WebSocketCarrier:
    """An open WebSocket."""

    def __init__(self, tls: ssl.SSLSocket, first: bytes, wakener: Wakener) -> None:
        self._tls, self._wakener = tls, wakener
        self._first = first
        self._read_wants_write = False
        self.conversation = Conversation()
        tls.setblocking(False)

    @property
    def fingerprint(self) -> str:
        """Digest of the DER certificate that TLS presented."""
        return digest(self._tls.getpeercert(True) or b"")

    def exchange(self, timeout: float) -> List[Event]:
        try:
            self._send()
            if not self._first and not self._tls.pending():
                self._wait(timeout)
                self._send()
            return self._receive()
        except (OSError, ValueError) as error:
            raise Lost("the connection broke: %s" % (getattr(error, "strerror", "") or error)) from error

    def close(self, seconds: float = 1.0) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._tls.settimeout(seconds)
            while self.conversation.outgoing:
                self.conversation.sent(self._tls.send(self.conversation.take(READ_SIZE)))
        self._tls.close()

    def _wait(self, timeout: float) -> None:
        poll = select.poll()
        sending = bool(self.conversation.outgoing) or self._read_wants_write
        poll.register(self._tls, select.POLLIN | (select.POLLOUT if sending else 0))
        poll.register(self._wakener.file, select.POLLIN)
        poll.poll(max(0, int(timeout * 1000)))
        self._wakener.clear()

    def _send(self) -> None:
        conversation = self.conversation
        try:
            while conversation.outgoing:
                conversation.sent(self._tls.send(conversation.take(READ_SIZE)))
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            if len(conversation.outgoing) > UNSENT_LIMIT:
                raise Lost("the server does not read what it is sent") from None

    def _receive(self) -> List[Event]:
        events: List[Event] = []
        if self._first:
            first, self._first = self._first, b""
            events += self.conversation.receive(first)
        self._read_wants_write = False
        for _ in range(READS_AT_ONCE):
            try:
                data = self._tls.recv(READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLWantWriteError:
                self._read_wants_write = True
                break
            events += self.conversation.receive(data) if data else self.conversation.receive_end()
            if not data:
                break
        return events


class Servers:
    """The usual door: a fleet's servers, tried in turn for good."""

    def __init__(self, urls: List[str], path: str, ca_pem: str) -> None:
        self._urls, self._path, self._ca_pem = urls, path, ca_pem

    def addresses(self) -> Iterator[str]:
        return itertools.cycle(self._urls)

    def open(self, address: str, wakener: Wakener, timeout: float) -> Carrier:
        return open_carrier(address, self._path, self._ca_pem, wakener, timeout=timeout)


def open_carrier(
    url: str,
    path: str,
    ca_pem: str,
    wakener: Wakener,
    *,
    timeout: float = dial.CONNECT_TIMEOUT,
    environ: Optional[Mapping[str, str]] = None,
) -> WebSocketCarrier:
    """Dial, verify and upgrade. Raises Lost with what stood in the way."""
    try:
        where = dial.address(url)
        tls = dial.connect(where, dial.trusting(ca_pem), timeout=timeout, environ=environ)
    except (dial.BadAddress, dial.Unreachable) as error:
        raise Lost(str(error)) from error
    try:
        key = websocket.new_key()
        tls.sendall(websocket.opening(str(where), path, key))
        return WebSocketCarrier(tls, _answer(tls, key, timeout), wakener)
    except (OSError, websocket.NotUpgraded) as error:
        tls.close()
        reason = "no answer in time" if isinstance(error, socket.timeout) else str(error) or type(error).__name__
        raise Lost("%s: no WebSocket at %s: %s" % (where, path, reason)) from error


def _answer(tls: ssl.SSLSocket, key: str, timeout: float) -> bytes:
    """The bytes after the head of the server's answer; all of it has to come within `timeout` seconds."""
    head = b""
    until = time.monotonic() + timeout
    while True:
        tls.settimeout(max(0.001, until - time.monotonic()))
        data = tls.recv(4096)
        if not data:
            raise websocket.NotUpgraded("the server hung up")
        head += data
        rest = websocket.accept(head, key)
        if rest is not None:
            return rest
