"""Streams on their way to one agent: credit per stream, one chunk each in turn. Pure: no socket in sight."""

from __future__ import annotations

from collections import deque

from agent.contract import frames
from agent.contract.codec import Malformed
from agent.contract.wire import Stream

LARGEST_CREDIT = 2**31


class _Flow:
    """One stream: its bytes, how far it is, how much the receiver can take."""

    __slots__ = ("at", "credit", "data", "id", "seq")

    def __init__(self, stream: int, data: bytes) -> None:
        self.id = stream
        self.data = data
        self.at = 0
        self.seq = 0
        self.credit = frames.INITIAL_CREDIT

    @property
    def ready(self) -> bool:
        return self.credit > 0 or self.at == len(self.data)

    def chunk(self) -> frames.StreamFrame:
        end = min(len(self.data), self.at + min(frames.CHUNK, self.credit))
        kind = frames.END if end == len(self.data) else frames.DATA
        frame = frames.StreamFrame(self.id, self.seq, kind, self.data[self.at : end])
        self.credit -= end - self.at
        self.at = end
        self.seq += 1
        return frame


class Outgoing:
    """The open streams of one connection. They take turns, so that a large file delays a small body by one chunk."""

    __slots__ = ("_flows", "_last")

    def __init__(self) -> None:
        self._flows: deque[_Flow] = deque()
        self._last = 0

    def __len__(self) -> int:
        return len(self._flows)

    def open(self, digest: str, data: bytes) -> Stream:
        """A new stream of `data`; the message that announces it."""
        self._last += 1
        self._flows.append(_Flow(self._last, data))
        return Stream(self._last, digest, len(data))

    def credit(self, stream: int, amount: int) -> None:
        """The receiver can take `amount` bytes more. Credit for a stream that has ended is late, not wrong."""
        if not 0 < amount <= LARGEST_CREDIT or not 0 < stream <= self._last:
            raise Malformed(f"credit of {amount} bytes for stream {stream}")
        for flow in self._flows:
            if flow.id == stream:
                flow.credit = min(LARGEST_CREDIT, flow.credit + amount)

    def next_frame(self) -> bytes | None:
        """The next chunk of the stream whose turn it is; None while none has credit."""
        for _ in range(len(self._flows)):
            flow = self._flows.popleft()
            if flow.ready:
                frame = flow.chunk()
                if frame.kind == frames.DATA:
                    self._flows.append(flow)
                return frames.pack(frame)
            self._flows.append(flow)
        return None
