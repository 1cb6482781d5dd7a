"""The client's side of RFC 6455 without I/O: bytes in, events out; messages in, bytes out.

Strict: no extension, no subprotocol, messages up to a limit, text is UTF-8, every rule of framing is held. `carrier`
moves the bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from typing import Callable, Dict, List, Optional, Tuple, Union

from agent.contract.record import NamedTuple
from agent.contract.wire import FRAME_LIMIT

HEAD_LIMIT = 16 * 1024
"""Bytes that a server's answer to the opening request may have."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10

NORMAL, GOING_AWAY, PROTOCOL_ERROR, NOT_UTF8, TOO_BIG, ABNORMAL = 1000, 1001, 1002, 1007, 1009, 1006


class Violation(Exception):
    """The peer broke the protocol. `code` is the close code that tells it so."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class NotUpgraded(Exception):
    """The server answered the opening request with something else; the message shows what."""


class Text(NamedTuple):
    text: str


class Binary(NamedTuple):
    data: bytes


class Ping(NamedTuple):
    """The peer asks whether we are there; it has been answered."""

    data: bytes


class Pong(NamedTuple):
    data: bytes


class Closed(NamedTuple):
    """The peer's close frame, or the connection's end without one (code 1006)."""

    code: int
    reason: str


Event = Union[Text, Binary, Ping, Pong, Closed]


def opening(host: str, path: str, key: str) -> bytes:
    """The request that asks for a WebSocket. `host` is the Host header's value; `key` is from `new_key`."""
    lines = (
        "GET %s HTTP/1.1" % path,
        "Host: %s" % host,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: %s" % key,
        "Sec-WebSocket-Version: 13",
        "User-Agent: opsctl-agent",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def new_key() -> str:
    return base64.b64encode(os.urandom(16)).decode()


def accept(data: bytes, key: str) -> Optional[bytes]:
    """The bytes after the head of the server's answer once the head is whole, None before.

    Raises `NotUpgraded` for any answer but the right one.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    if len(head) > HEAD_LIMIT:
        raise NotUpgraded("the answer's head is longer than %d bytes" % HEAD_LIMIT)
    if not end:
        return None
    status, headers = parse_head(head)
    if status != 101:
        said = rest[:200].decode("utf-8", "replace").strip()
        raise NotUpgraded("HTTP %d%s" % (status, ": " + said if said else ""))
    expected = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
    if (
        headers.get("upgrade", "").lower() != "websocket"
        or "upgrade" not in [word.strip() for word in headers.get("connection", "").lower().split(",")]
        or headers.get("sec-websocket-accept") != expected
    ):
        raise NotUpgraded("it switched to something that is not this WebSocket")
    if "sec-websocket-extensions" in headers or "sec-websocket-protocol" in headers:
        raise NotUpgraded("it chose an extension or subprotocol that was not offered")
    return rest


def parse_head(head: bytes) -> Tuple[int, Dict[str, str]]:
    """Status and headers (names in lower case) of an HTTP/1.1 answer. Raises `NotUpgraded`."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or len(words[1]) != 3 or not words[1].isdigit():
        raise NotUpgraded("not an HTTP answer (%.60r)" % first)
    headers: Dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise NotUpgraded("a malformed header (%.60r)" % line)
        name = name.lower()
        headers[name] = headers[name] + ", " + value.strip() if name in headers else value.strip()
    return int(words[1]), headers


def masked(data: bytes, mask: bytes) -> bytes:
    """`data` XOR the repeated 4-byte mask; its own inverse."""
    repeated = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(data), "big")


class Conversation:
    """An open WebSocket. Bytes to send gather in `outgoing`; take them with `take`."""

    def __init__(self, limit: int = FRAME_LIMIT, new_mask: Callable[[], bytes] = lambda: os.urandom(4)) -> None:
        self._limit = limit
        self._new_mask = new_mask
        self._incoming = bytearray()
        self._message: Optional[bytearray] = None
        self._message_opcode = 0
        self._ended = False
        self.outgoing = bytearray()
        self.close_sent = False

    def send_text(self, text: str) -> None:
        self._send(_TEXT, text.encode())

    def send_binary(self, data: bytes) -> None:
        self._send(_BINARY, data)

    def send_ping(self, data: bytes = b"") -> None:
        self._send(_PING, data)

    def send_close(self, code: int, reason: str = "") -> None:
        """Say that we go; nothing is sent after it."""
        self._send(_CLOSE, struct.pack(">H", code) + _cut(reason, 123))
        self.close_sent = True

    def receive(self, data: bytes) -> List[Event]:
        """Events of the bytes read; pings are answered here. Raises `Violation`, after which nothing is read."""
        if self._ended:
            return []
        self._incoming += data
        events: List[Event] = []
        try:
            while not self._ended:
                frame = self._next_frame()
                if frame is None:
                    break
                event = self._frame(*frame)
                if event is not None:
                    events.append(event)
        except Violation:
            self._ended = True
            raise
        return events

    def receive_end(self) -> List[Event]:
        """The stream ended: a `Closed`, unless there was one."""
        if self._ended:
            return []
        self._ended = True
        return [Closed(ABNORMAL, "the connection ended")]

    def _send(self, opcode: int, data: bytes) -> None:
        if self.close_sent:
            return
        if opcode >= _CLOSE and len(data) > 125:
            raise ValueError("a control frame holds 125 bytes at most, not %d" % len(data))
        if len(data) > self._limit:
            raise ValueError("a message of %d bytes is over the limit of %d" % (len(data), self._limit))
        if len(data) < 126:
            head = struct.pack(">BB", 0x80 | opcode, 0x80 | len(data))
        elif len(data) < 65536:
            head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, len(data))
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, len(data))
        mask = self._new_mask()
        self.outgoing += head + mask + masked(data, mask)

    def _next_frame(self) -> Optional[Tuple[bool, int, bytes]]:
        """(final, opcode, payload) of the next whole frame, None until it is there."""
        buffer = self._incoming
        if len(buffer) < 2:
            return None
        final, opcode, length, at = bool(buffer[0] & 0x80), buffer[0] & 0x0F, buffer[1] & 0x7F, 2
        if buffer[0] & 0x70:
            raise Violation(PROTOCOL_ERROR, "reserved bits are set")
        if buffer[1] & 0x80:
            raise Violation(PROTOCOL_ERROR, "a server's frame is masked")
        self._check_opcode(final, opcode, length)
        if length >= 126:
            form, least = (">H", 126) if length == 126 else (">Q", 65536)
            at += struct.calcsize(form)
            if len(buffer) < at:
                return None
            (length,) = struct.unpack_from(form, buffer, 2)
            if length < least or length >= 1 << 63:
                raise Violation(PROTOCOL_ERROR, "a length is not in its shortest form")
        if opcode < _CLOSE and length + len(self._message or b"") > self._limit:
            raise Violation(TOO_BIG, "a message is over the limit of %d bytes" % self._limit)
        if len(buffer) < at + length:
            return None
        payload = bytes(buffer[at : at + length])
        del buffer[: at + length]
        return final, opcode, payload

    def _check_opcode(self, final: bool, opcode: int, length: int) -> None:
        if opcode >= _CLOSE:
            if opcode > _PONG:
                raise Violation(PROTOCOL_ERROR, "a frame of reserved opcode %d" % opcode)
            if not final or length > 125:
                raise Violation(PROTOCOL_ERROR, "a control frame is fragmented or too long")
        elif opcode > _BINARY:
            raise Violation(PROTOCOL_ERROR, "a frame of reserved opcode %d" % opcode)
        elif opcode == _CONTINUATION and self._message is None:
            raise Violation(PROTOCOL_ERROR, "a continuation of no message")
        elif opcode != _CONTINUATION and self._message is not None:
            raise Violation(PROTOCOL_ERROR, "a message inside a fragmented one")

    def _frame(self, final: bool, opcode: int, payload: bytes) -> Optional[Event]:
        if opcode == _PING:
            self._send(_PONG, payload)
            return Ping(payload)
        if opcode == _PONG:
            return Pong(payload)
        if opcode == _CLOSE:
            return self._close(payload)
        if opcode != _CONTINUATION:
            if final:
                return _message(opcode, payload)
            self._message, self._message_opcode = bytearray(), opcode
        whole = self._message if self._message is not None else bytearray()
        whole += payload
        if not final:
            return None
        self._message = None
        return _message(self._message_opcode, bytes(whole))

    def _close(self, payload: bytes) -> Closed:
        code, reason = 1005, ""
        if len(payload) == 1:
            raise Violation(PROTOCOL_ERROR, "a close frame with half a code")
        if payload:
            (code,) = struct.unpack_from(">H", payload)
            if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
                raise Violation(PROTOCOL_ERROR, "close code %d may not be sent" % code)
            reason = _utf8(payload[2:])
        self._ended = True
        if not self.close_sent:
            self._send(_CLOSE, payload[:2])
            self.close_sent = True
        return Closed(code, reason)

    def take(self, most: int) -> bytes:
        """Up to `most` bytes that wait to be sent, left in place until `sent`."""
        return bytes(self.outgoing[:most])

    def sent(self, count: int) -> None:
        del self.outgoing[:count]


def _message(opcode: int, payload: bytes) -> Event:
    return Text(_utf8(payload)) if opcode == _TEXT else Binary(payload)


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Violation(NOT_UTF8, "text is not UTF-8") from error


def _cut(reason: str, most: int) -> bytes:
    return reason.encode()[:most].decode(errors="ignore").encode()
