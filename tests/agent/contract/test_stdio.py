"""Frames on a byte stream, however the bytes come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agent.contract import stdio, wire
from agent.contract.codec import Malformed

_FRAMES = some.lists(
    some.one_of(
        some.tuples(some.sampled_from([stdio.TEXT, stdio.BINARY]), some.binary(max_size=200)),
        some.tuples(some.sampled_from([stdio.PING, stdio.PONG]), some.just(b"")),
    )
)


@given(_FRAMES, some.integers(1, 50))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(frames: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(stdio.pack(*frame) for frame in frames)
    framer = stdio.Framer()
    found = [frame for at in range(0, len(data), size) for frame in framer.feed(data[at : at + size])]
    assert found == [stdio.Frame(*frame) for frame in frames]


@pytest.mark.parametrize(
    "data",
    [
        b"\x03\x00\x00\x00\x00",
        bytes([stdio.BINARY]) + (wire.FRAME_LIMIT + 1).to_bytes(4, "big"),
        bytes([stdio.PING]) + b"\x00\x00\x00\x01",
    ],
)
def test_no_frame_at_all_is_refused_before_it_is_whole(data: bytes) -> None:
    with pytest.raises(Malformed):
        stdio.Framer().feed(data)


def test_a_close_frame_has_a_code_and_a_bounded_reason() -> None:
    (frame,) = stdio.Framer().feed(stdio.pack_close(4401, "ü" * 2000))
    code, reason = stdio.read_close(frame.data)
    assert (code, reason) == (4401, "ü" * (stdio.REASON_BYTES // 2))
    with pytest.raises(Malformed):
        stdio.read_close(b"\x01")


def test_text_is_text() -> None:
    with pytest.raises(Malformed):
        stdio.text_of(stdio.Frame(stdio.TEXT, b"\xff"))


def test_a_frame_over_the_limit_is_not_sent() -> None:
    with pytest.raises(ValueError, match="over the limit"):
        stdio.pack(stdio.TEXT, bytes(wire.FRAME_LIMIT + 1))
