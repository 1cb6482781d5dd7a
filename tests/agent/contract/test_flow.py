"""A channel's bytes arrive once, in order and all of them, whatever breaks; never is more than a window on its way."""

from __future__ import annotations

import random

import pytest

from agent.contract import frames
from agent.contract.codec import Malformed
from agent.contract.flow import Incoming, Outgoing
from agent.contract.session import WINDOW

STREAM = 1 << 31


@pytest.mark.parametrize("seed", range(40))
def test_all_arrives_once_over_breaks_at_any_place(seed: int) -> None:
    chance = random.Random(seed)
    size = chance.randrange(3 * WINDOW)
    text = chance.getrandbits(8 * size + 8).to_bytes(size + 1, "little")[:size]
    out, into = Outgoing(), Incoming()
    on_its_way: list[bytes] = []
    said, came, waiting = 0, bytearray(), 0
    while not (into.ended and not waiting and out.settled):
        what = chance.randrange(8)
        if what == 0 and said < len(text):
            part = text[said : said + min(out.room, chance.randrange(200_000))]
            out.add(part)
            said += len(part)
        elif what == 1 and said == len(text):
            out.finish()
        elif what == 2:
            on_its_way += [frame for frame in [out.next_frame(STREAM)] if frame is not None]
        elif what in (3, 4) and on_its_way:
            data = into.chunk(frames.unpack(on_its_way.pop(0)))
            came += data
            waiting += len(data)
        elif what in (5, 6):
            count = chance.randrange(waiting + 1)
            waiting -= count
            offset = into.passed(count)
            if offset is not None and chance.randrange(4):
                out.taken(offset)
        elif what == 7 and not chance.randrange(8):
            on_its_way.clear()
            out.resume(into.resume())
        assert sum(map(len, on_its_way)) <= WINDOW + 9 * len(on_its_way)
    assert came == text


def test_what_breaks_the_rules_is_refused() -> None:
    out, into = Outgoing(), Incoming()
    with pytest.raises(Malformed):
        out.taken(1)
    with pytest.raises(Malformed):
        into.chunk(frames.StreamFrame(STREAM, 1, frames.DATA, b"x"))
    with pytest.raises(Malformed):
        into.chunk(frames.StreamFrame(STREAM, 0, frames.DATA, b"x" * (frames.CHUNK + 1)))
    for seq in range(WINDOW // frames.CHUNK):
        into.chunk(frames.StreamFrame(STREAM, seq, frames.DATA, b"x" * frames.CHUNK))
    with pytest.raises(Malformed):
        into.chunk(frames.StreamFrame(STREAM, WINDOW // frames.CHUNK, frames.DATA, b"x"))


def test_a_quiet_stream_is_acknowledged_at_once_and_a_busy_one_now_and_then() -> None:
    into = Incoming()
    into.chunk(frames.StreamFrame(STREAM, 0, frames.DATA, b"key"))
    assert into.passed(3) == 3
    into.chunk(frames.StreamFrame(STREAM, 1, frames.DATA, b"x" * frames.CHUNK))
    assert into.passed(10) is None
