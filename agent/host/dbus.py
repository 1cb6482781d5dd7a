"""Signals from D-Bus: enough of its protocol to call a method with texts and to hear where signals come from.

Authentication is EXTERNAL (the kernel vouches for our user id). Bodies of messages are not read: which object speaks,
and what the signal is called, stand in the header.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Iterator, List, Tuple

from agent.contract.record import NamedTuple

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 6, 8
_MESSAGE_AT_MOST = 1024 * 1024
_READ_AT_ONCE = 64 * 1024
_READS_AT_ONCE = 32
_LINE_AT_MOST = 4096


class BusError(Exception):
    """The other side is gone, refuses, or does not speak D-Bus; the message says which."""


class Message(NamedTuple):
    """The header of one message, as far as it is of interest."""

    kind: int
    path: str
    member: str
    error: str


class Method(NamedTuple):
    """What to call."""

    destination: str
    path: str
    interface: str
    member: str


class Connection:
    """One connection to a bus or to a program. Raises BusError, OSError."""

    def __init__(self, address: str, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._incoming, self._serial = b"", 0
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(address)
            self._authenticate()
        except BaseException:
            self.close()
            raise

    @property
    def file(self) -> int:
        return self._socket.fileno()

    def call(self, method: Method, *texts: str) -> None:
        """Send a call. Its answer comes among the messages."""
        self._serial += 1
        self._socket.sendall(packed(self._serial, method, texts))

    def receive(self) -> Iterator[Message]:
        """What has come, without waiting for more; after this nothing is called any more."""
        self._socket.setblocking(False)
        for _ in range(_READS_AT_ONCE):
            try:
                data = self._socket.recv(_READ_AT_ONCE)
            except BlockingIOError:
                break
            if not data:
                raise BusError("the other side has hung up")
            self._incoming += data
        messages, self._incoming = unpacked(self._incoming)
        yield from messages

    def close(self) -> None:
        self._socket.close()

    def _authenticate(self) -> None:
        self._socket.sendall(b"\0AUTH EXTERNAL %s\r\n" % str(os.geteuid()).encode().hex().encode())
        answer = b""
        while not answer.endswith(b"\r\n"):
            data = self._socket.recv(_LINE_AT_MOST)
            answer += data
            if not data or len(answer) > _LINE_AT_MOST:
                raise BusError("it does not answer as D-Bus does")
        if not answer.startswith(b"OK "):
            raise BusError("it does not accept user id %d" % os.geteuid())
        self._socket.sendall(b"BEGIN\r\n")


def packed(serial: int, method: Method, texts: Tuple[str, ...]) -> bytes:
    """A call as it stands on the wire, little-endian."""
    body = b""
    for text in texts:
        body = _aligned(body, 4) + _text(text)
    values = [
        (_PATH, b"o", method.path),
        (_INTERFACE, b"s", method.interface),
        (_MEMBER, b"s", method.member),
        (_DESTINATION, b"s", method.destination),
    ]
    fields = b""
    for code, signature, value in values:
        fields = _aligned(fields, 8) + struct.pack("<BB", code, 1) + signature + b"\0" + _text(value)
    if texts:
        kinds = b"s" * len(texts)
        fields = _aligned(fields, 8) + struct.pack("<BB", _SIGNATURE, 1) + b"g\0%c%s\0" % (len(kinds), kinds)
    head = struct.pack("<cBBBIII", b"l", CALL, 0, 1, len(body), serial, len(fields))
    return _aligned(head + fields, 8) + body


def unpacked(data: bytes) -> Tuple[List[Message], bytes]:
    """(whole messages, the rest). Raises BusError for what is no message."""
    messages, at = [], 0
    while len(data) - at >= 16:
        order = {b"l": "<", b"B": ">"}.get(data[at : at + 1])
        if order is None:
            raise BusError("it does not speak D-Bus")
        kind = data[at + 1]
        body, _, fields = struct.unpack_from(order + "III", data, at + 4)
        start = at + 16
        end = start + (fields + 7) // 8 * 8 + body
        if end - at > _MESSAGE_AT_MOST:
            raise BusError("a message of %d bytes" % (end - at))
        if end > len(data):
            break
        try:
            named = dict(_fields(data[start : start + fields], order))
        except (struct.error, IndexError, UnicodeError):
            raise BusError("a message that cannot be read") from None
        messages.append(Message(kind, named.get(_PATH, ""), named.get(_MEMBER, ""), named.get(_ERROR_NAME, "")))
        at = end
    return messages, data[at:]


def _fields(data: bytes, order: str) -> Iterator[Tuple[int, str]]:
    """The fields of a header; of those that are numbers, nothing."""
    at = 0
    while at < len(data):
        at = (at + 7) // 8 * 8
        code, length = data[at], data[at + 1]
        signature = data[at + 2 : at + 2 + length]
        at += 3 + length
        if signature == b"g":
            at += 2 + data[at]
            continue
        at = (at + 3) // 4 * 4
        (size,) = struct.unpack_from(order + "I", data, at)
        at += 4
        if signature in (b"s", b"o"):
            yield code, data[at : at + size].decode()
            at += size + 1


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<I", len(data)) + data + b"\0"


def _aligned(data: bytes, to: int) -> bytes:
    return data + b"\0" * (-len(data) % to)
