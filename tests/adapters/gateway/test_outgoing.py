"""Streams without a socket: whatever the sizes and the credit, each arrives whole, in order, within its credit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract import frames
from agent.contract.codec import Malformed
from reconciler.adapters.gateway.outgoing import LARGEST_CREDIT, Outgoing


@given(
    st.lists(st.integers(0, frames.INITIAL_CREDIT + 3 * frames.CHUNK), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, frames.INITIAL_CREDIT)), max_size=30),
)
def test_streams_keep_to_their_credit_and_arrive_whole(sizes: list[int], grants: list[tuple[int, int]]) -> None:
    outgoing = Outgoing()
    sent = {}
    for number, size in enumerate(sizes):
        data = bytes([number]) * size
        sent[outgoing.open(f"sha256:{number}", data).stream] = data
    allowed = dict.fromkeys(sent, frames.INITIAL_CREDIT)
    got: dict[int, bytearray] = {stream: bytearray() for stream in sent}
    ended: set[int] = set()
    expected_seq = dict.fromkeys(sent, 0)
    finishing = [(stream, frames.INITIAL_CREDIT) for stream in sent for _ in range(2)]
    for stream, amount in [(0, 0), *grants, *finishing]:
        if stream in sent:
            outgoing.credit(stream, amount)
            allowed[stream] += amount
        while (packed := outgoing.next_frame()) is not None:
            frame = frames.unpack(packed)
            assert frame.stream not in ended
            assert frame.seq == expected_seq[frame.stream]
            assert len(frame.data) <= frames.CHUNK
            expected_seq[frame.stream] += 1
            got[frame.stream] += frame.data
            assert len(got[frame.stream]) <= allowed[frame.stream]
            if frame.kind == frames.END:
                ended.add(frame.stream)
    assert ended == set(sent)
    assert got == sent
    assert len(outgoing) == 0


def test_streams_take_turns() -> None:
    outgoing = Outgoing()
    for number in range(3):
        outgoing.open(f"sha256:{number}", bytes(frames.CHUNK * 3))
    order = [frames.unpack(outgoing.next_frame() or b"").stream for _ in range(9)]
    assert order == [1, 2, 3] * 3


@pytest.mark.parametrize(("stream", "amount"), [(1, 0), (1, -1), (1, LARGEST_CREDIT + 1), (2, 1), (0, 1)])
def test_credit_that_no_receiver_gives_is_refused(stream: int, amount: int) -> None:
    outgoing = Outgoing()
    outgoing.open("sha256:0", b"data")
    with pytest.raises(Malformed):
        outgoing.credit(stream, amount)


def test_credit_for_a_stream_that_has_ended_is_late_not_wrong() -> None:
    outgoing = Outgoing()
    outgoing.open("sha256:0", b"data")
    assert outgoing.next_frame() is not None
    outgoing.credit(1, 5)
    assert outgoing.next_frame() is None
