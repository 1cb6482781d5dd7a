"""Frames on a byte stream: what a WebSocket carries between agent and server, where SSH carries it instead.

The server reaches the node, runs the agent there, and talks with it over its standard input and output. Each frame has
a head of 5 bytes (kind, length of what follows). The messages in them are those of `frames`, plus a few before the
hello, by which a machine that is no node yet becomes one. Raises `Malformed` for anything else.
"""

from __future__ import annotations

import struct
from typing import Dict, List, Tuple, Type

from agent.contract import frames, wire
from agent.contract.canonical import digest
from agent.contract.codec import Malformed, Wire, to_wire
from agent.contract.record import NamedTuple

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

BANNER = b"opsctl-stdio@v1\n"
"""What the program says first; whatever a login shell printed before it is passed over."""

FINGERPRINT = digest(BANNER)
"""Stands in the transcript where the certificate stands on TLS: a hello made for one way is worthless on the other."""

JOINING: Dict[str, Type[Wire]] = {
    "join": wire.Join,
    "enroll": wire.Enrolment,
    "enrolled": wire.Enrolled,
    "refusal": wire.Refusal,
}
"""Control frames before the hello: the server's `join`, and where the machine is no node, how it becomes one."""

REASON_BYTES = 1000
"""What a close frame has room for, besides its code."""

_HEAD = struct.Struct(">BI")
_CODE = struct.Struct(">H")
_LIMITS = {
    TEXT: wire.FRAME_LIMIT,
    BINARY: wire.FRAME_LIMIT,
    CLOSE: _CODE.size + REASON_BYTES,
    PING: 0,
    PONG: 0,
}
_NAMES = {kind: name for name, kind in JOINING.items()}


class Frame(NamedTuple):
    """One frame as it came; `kind` is one of the five above."""

    kind: int
    data: bytes


def pack(kind: int, data: bytes = b"") -> bytes:
    """The bytes of a frame."""
    if len(data) > _LIMITS[kind]:
        raise ValueError("a frame of %d bytes is over the limit of %d" % (len(data), _LIMITS[kind]))
    return _HEAD.pack(kind, len(data)) + data


def pack_close(code: int, reason: str) -> bytes:
    """The bytes of a close frame; the reason is cut to what there is room for."""
    cut = reason.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore")
    return pack(CLOSE, _CODE.pack(code) + cut.encode())


def read_close(data: bytes) -> Tuple[int, str]:
    """Code and reason of a close frame."""
    if len(data) < _CODE.size:
        raise Malformed("a close frame without a code")
    return _CODE.unpack_from(data)[0], data[_CODE.size :].decode("utf-8", "replace")


class Framer:
    """Bytes in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> List[Frame]:
        """The frames that are whole now."""
        self._buffer += data
        found = []
        at = 0
        while len(self._buffer) - at >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer, at)
            if length > _LIMITS.get(kind, -1):
                raise Malformed("a frame of kind %d with %d bytes" % (kind, length))
            end = at + _HEAD.size + length
            if len(self._buffer) < end:
                break
            found.append(Frame(kind, bytes(self._buffer[at + _HEAD.size : end])))
            at = end
        del self._buffer[:at]
        return found


def text_of(frame: Frame) -> str:
    """The text of a text frame."""
    try:
        return frame.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("a text frame is not UTF-8") from error


def control(message: Wire) -> str:
    """The text of a control frame of `JOINING`."""
    return frames.control_of(_NAMES[type(message)], to_wire(message))
