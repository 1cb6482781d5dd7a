"""The carrier beside the WebSocket: frames over two file descriptors, as a program has that was started over SSH."""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import List, Optional

from agent.contract import stdio
from agent.contract.codec import Malformed
from agent.host.wakener import Wakener
from agent.link.carrier import READ_SIZE, READS_AT_ONCE, UNSENT_LIMIT, Lost
from agent.link.websocket import ABNORMAL, PROTOCOL_ERROR, Binary, Closed, Event, Ping, Pong, Text, Violation


class StdioConversation:
    """Messages in, bytes out, and back, as `websocket.Conversation` for a WebSocket."""

    def __init__(self) -> None:
        self._framer = stdio.Framer()
        self._ended = False
        self.outgoing = bytearray()
        self.close_sent = False

    def send_text(self, text: str) -> None:
        self._send(stdio.pack(stdio.TEXT, text.encode()))

    def send_binary(self, data: bytes) -> None:
        self._send(stdio.pack(stdio.BINARY, data))

    def send_ping(self) -> None:
        self._send(stdio.pack(stdio.PING))

    def send_close(self, code: int, reason: str = "") -> None:
        """Say that we go; nothing is sent after it."""
        self._send(stdio.pack_close(code, reason))
        self.close_sent = True

    def receive(self, data: bytes) -> List[Event]:
        """Events of the bytes read; pings are answered here. Raises `Violation`, after which nothing is read."""
        if self._ended:
            return []
        events: List[Event] = []
        try:
            for frame in self._framer.feed(data):
                events.append(self._event(frame))
                if self._ended:
                    break
        except Malformed as error:
            self._ended = True
            raise Violation(PROTOCOL_ERROR, str(error)) from error
        return events

    def receive_end(self) -> List[Event]:
        """The stream ended: a `Closed`, unless there was one."""
        if self._ended:
            return []
        self._ended = True
        return [Closed(ABNORMAL, "the connection ended")]

    def _event(self, frame: stdio.Frame) -> Event:
        if frame.kind == stdio.TEXT:
            return Text(stdio.text_of(frame))
        if frame.kind == stdio.BINARY:
            return Binary(frame.data)
        if frame.kind == stdio.PING:
            self._send(stdio.pack(stdio.PONG))
            return Ping(b"")
        if frame.kind == stdio.PONG:
            return Pong(b"")
        self._ended = True
        return Closed(*stdio.read_close(frame.data))

    def _send(self, data: bytes) -> None:
        if not self.close_sent:
            self.outgoing += data


class StdioCarrier:
    """Reads from one descriptor, writes to another; both are closed with it. `wakener`, if any, ends its waits."""

    fingerprint = stdio.FINGERPRINT

    def __init__(self, incoming: int, outgoing: int, wakener: Optional[Wakener] = None) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._early: List[Event] = []
        self._closed = False
        self.wakener = wakener
        self.conversation = StdioConversation()
        for file in (incoming, outgoing):
            os.set_blocking(file, False)

    def exchange(self, timeout: float) -> List[Event]:
        """As a WebSocket's: send what waits and read what came. Raises Lost, `websocket.Violation`."""
        if self._early:
            early, self._early = self._early, []
            return early
        try:
            self._send()
            self._wait(timeout)
            self._send()
            return self._receive()
        except OSError as error:
            raise Lost("the connection broke: %s" % (error.strerror or error)) from error

    def put_back(self, events: List[Event]) -> None:
        """What came too early for its reader is what the next `exchange` returns."""
        self._early = events + self._early

    def close(self, seconds: float = 1.0) -> None:
        """Send what waits for a moment, then hang up."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + seconds
        with contextlib.suppress(OSError, Lost):
            while self.conversation.outgoing and time.monotonic() < until:
                self._send()
                select.select([], [self._outgoing], [], max(0.0, until - time.monotonic()))
        for file in {self._incoming, self._outgoing}:
            os.close(file)

    def _wait(self, timeout: float) -> None:
        poll = select.poll()
        if self.wakener is not None:
            poll.register(self.wakener.file, select.POLLIN)
        if self.conversation.outgoing:
            poll.register(self._outgoing, select.POLLOUT)
        poll.register(self._incoming, select.POLLIN)
        poll.poll(max(0, int(timeout * 1000)))
        if self.wakener is not None:
            self.wakener.clear()

    def _send(self) -> None:
        waiting = self.conversation.outgoing
        try:
            while waiting:
                del waiting[: os.write(self._outgoing, bytes(waiting[:READ_SIZE]))]
        except BlockingIOError:
            if len(waiting) > UNSENT_LIMIT:
                raise Lost("the server does not read what it is sent") from None

    def _receive(self) -> List[Event]:
        events: List[Event] = []
        for _ in range(READS_AT_ONCE):
            data = self._read()
            if data is None:
                break
            events += self.conversation.receive(data) if data else self.conversation.receive_end()
            if not data:
                break
        return events

    def _read(self) -> Optional[bytes]:
        try:
            return os.read(self._incoming, READ_SIZE)
        except BlockingIOError:
            return None
