"""One direction of a session's channel: what was said, sent and acknowledged, across connections that break. Pure."""

from __future__ import annotations

from typing import Optional

from agent.contract import frames
from agent.contract.codec import Malformed
from agent.contract.session import TELL_EVERY, WINDOW


class Outgoing:
    """One direction of a channel, on the side that speaks: what was said and not acknowledged."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._base = 0
        self._at = 0
        self._seq = 0
        self._finished = False
        self._end_sent = False

    @property
    def room(self) -> int:
        """Bytes that may be said now."""
        return 0 if self._finished else WINDOW - len(self._kept)

    @property
    def settled(self) -> bool:
        """Whether everything was said and acknowledged."""
        return self._finished and self._end_sent and not self._kept

    @property
    def sendable(self) -> bool:
        """Whether there is something to send."""
        return self._at < self.said or (self._finished and not self._end_sent)

    @property
    def said(self) -> int:
        """Bytes said in all."""
        return self._base + len(self._kept)

    def add(self, data: bytes) -> None:
        """Say this."""
        self._kept += data

    def finish(self) -> None:
        """Nothing follows."""
        self._finished = True

    def resume(self, received: int) -> None:
        """On a new connection: the other side has so much. Raises `Malformed` for more than was said, or less."""
        self.taken(received)
        self._at, self._seq, self._end_sent = received, 0, False

    def taken(self, offset: int) -> None:
        """All up to there is acknowledged. Raises `Malformed`."""
        if not self._base <= offset <= self._base + len(self._kept):
            raise Malformed("%d bytes are acknowledged, of %d to %d" % (offset, self._base, self.said))
        del self._kept[: offset - self._base]
        self._base = offset
        self._at = max(self._at, offset)

    def next_frame(self, stream: int) -> Optional[bytes]:
        """The next chunk to send; None where there is none."""
        start = self._at - self._base
        data = bytes(self._kept[start : start + frames.CHUNK])
        last = self._finished and start + len(data) == len(self._kept)
        if not data and (not last or self._end_sent):
            return None
        frame = frames.StreamFrame(stream, self._seq, frames.END if last else frames.DATA, data)
        self._at += len(data)
        self._seq += 1
        self._end_sent = last
        return frames.pack(frame)


class Incoming:
    """One direction of a channel, on the side that listens."""

    def __init__(self) -> None:
        self.received = 0
        self.ended = False
        self._passed = 0
        self._told = 0
        self._seq = 0

    def resume(self) -> int:
        """On a new connection: how much there is already."""
        self._seq, self._told = 0, self.received
        return self.received

    def chunk(self, frame: frames.StreamFrame) -> bytes:
        """What a frame brings. Raises `Malformed` for one out of turn, or more than a window."""
        if frame.seq != self._seq or len(frame.data) > frames.CHUNK:
            raise Malformed("chunk %d of stream %d came where %d was due" % (frame.seq, frame.stream, self._seq))
        if self.received + len(frame.data) > self._told + WINDOW or self.received - self._passed > 2 * WINDOW:
            raise Malformed("stream %d came faster than it was acknowledged" % frame.stream)
        if self.ended and frame.data:
            raise Malformed("stream %d goes on after its end" % frame.stream)
        self._seq += 1
        self.received += len(frame.data)
        self.ended = self.ended or frame.kind == frames.END
        return frame.data

    def passed(self, count: int) -> Optional[int]:
        """So many bytes more were passed on: the offset to acknowledge now, if any.

        Where all there is was passed on it is acknowledged at once, so that a quiet stream is settled.
        """
        self._passed += count
        due = self._passed - self._told
        if due > 0 and (due >= TELL_EVERY or self._passed == self.received):
            self._told = self._passed
            return self._told
        return None
