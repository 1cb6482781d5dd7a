"""Binary stream frames: a 9-byte header (stream, sequence, kind) and the bytes; control frames: JSON text.

Both directions, both sides. Raises `Malformed` for anything else.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, Tuple, Type

from agent.contract import inventory, job, leave, session, wire
from agent.contract.codec import Malformed, Wire, from_wire, to_wire
from agent.contract.record import NamedTuple

DATA, END = 0, 1
CHUNK = 32 * 1024
INITIAL_CREDIT = 512 * 1024
_HEADER = struct.Struct(">IIB")

CONTROL: Dict[str, Type[Wire]] = {
    "challenge": wire.Challenge,
    "ack": wire.Ack,
    "fetch": wire.Fetch,
    "stream": wire.Stream,
    "missing": wire.Missing,
    "held": wire.Held,
    "credit": wire.Credit,
    "pulse": wire.Pulse,
    "unsupported": wire.Unsupported,
    "ask": leave.Ask,
    "postponed": leave.Postponed,
    "accepted": job.Accepted,
    "revoked": job.Revoked,
    "output": job.Output,
    "stored": job.Stored,
    "inventory": inventory.Inventory,
    "inventoried": inventory.Inventoried,
    "compile": job.Compile,
    "opened": session.Opened,
    "taken": session.Taken,
    "resized": session.Resized,
    "signalled": session.Signalled,
    "left": session.Left,
    "ended": session.Ended,
}
"""Plain control frames. All others (`hello`, `welcome`, `assignments`, `hold`, `permit`, `job`, `revocation`,
`compiled`, `report`, `ticket`) carry `Signed`."""

_NAMES = {kind: name for name, kind in CONTROL.items()}


class StreamFrame(NamedTuple):
    """One chunk of a stream; `kind` is DATA or END (END may carry the last bytes)."""

    stream: int
    seq: int
    kind: int
    data: bytes


def pack(frame: StreamFrame) -> bytes:
    return _HEADER.pack(frame.stream, frame.seq, frame.kind) + frame.data


def unpack(data: bytes) -> StreamFrame:
    if len(data) < _HEADER.size:
        raise Malformed("a stream frame of %d bytes has no header" % len(data))
    stream, seq, kind = _HEADER.unpack_from(data)
    if kind not in (DATA, END):
        raise Malformed("a stream frame of kind %d" % kind)
    return StreamFrame(stream, seq, kind, data[_HEADER.size :])


def stream_of(data: bytes) -> int:
    """The stream that a frame is of, before anything else of it is read. Raises `Malformed`."""
    return unpack(data[: _HEADER.size]).stream


def readdressed(data: bytes, stream: int) -> bytes:
    """The frame on another stream: whoever passes it on has numbers of its own."""
    return stream.to_bytes(4, "big") + data[4:]


def control(message: Wire) -> str:
    """The text of a plain control frame."""
    return control_of(_NAMES[type(message)], to_wire(message))


def control_of(name: str, value: Dict[str, Any]) -> str:
    """The text of a control frame of this type with these fields."""
    return json.dumps(dict(value, type=name), separators=(",", ":"))


def signed_control(name: str, signed: wire.Signed, **extra: Any) -> str:
    """The text of a control frame that carries something signed."""
    return json.dumps(dict(extra, type=name, signed=to_wire(signed)), separators=(",", ":"))


def read_control(text: str) -> Tuple[str, Dict[str, Any]]:
    """(type, whole object) of a control frame."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("a control frame is not JSON: %s" % error) from error
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Malformed("a control frame is not an object with a type")
    return value["type"], value


def plain(name: str, value: Dict[str, Any]) -> Wire:
    """The message of a plain control frame."""
    return from_wire(CONTROL[name], value, name)


def signed_of(value: Dict[str, Any]) -> wire.Signed:
    """The signed part of a control frame."""
    return from_wire(wire.Signed, value.get("signed"), "signed")
