"""The gateway's part in sessions: it passes frames on between a client and the agent that has the node, and keeps
nothing but which stream is whose. Both ends count, acknowledge and remember; here is only a bound on what may wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from agent.contract import frames
from agent.contract.codec import Malformed
from agent.contract.session import FIRST_STREAM, WINDOW, Ended, Left

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.contract.codec import Wire

CHANNELS = 4096
"""Of one node, at a time."""
_OVERHEAD = 256
"""Bytes that a frame counts besides its data."""


class Channel:
    """One client's stream to one node: `say` sends to the node, `heard` is what came from it."""

    def __init__(self, stream: int, channels: Channels) -> None:
        self.stream = stream
        self._channels = channels
        self._heard: deque[str | bytes] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self.gone = False

    def say(self, frame: str | bytes) -> None:
        """To the node: a control frame that names `stream`, or a chunk, whatever stream it names."""
        if not self.gone:
            self._channels.say(frames.readdressed(frame, self.stream) if isinstance(frame, bytes) else frame)

    async def heard(self) -> str | bytes | None:
        """The next frame from the node; None once there will be none."""
        while not self._heard:
            if self.gone:
                return None
            self._news.clear()
            await self._news.wait()
        frame = self._heard.popleft()
        self._size -= len(frame) + _OVERHEAD
        return frame

    def feed(self, frame: str | bytes) -> None:
        """From the node. Raises `Malformed` where it sends what was not acknowledged."""
        self._size += len(frame) + _OVERHEAD
        if self._size > 3 * WINDOW:
            raise Malformed(f"stream {self.stream} came faster than it was acknowledged")
        self._heard.append(frame)
        self._news.set()

    def part(self) -> None:
        """The node is gone, or this side lets go."""
        self.gone = True
        self._news.set()

    def close(self) -> None:
        """The client is gone: the node is told, where it is still here."""
        if not self.gone:
            self._channels.closed(self.stream)
        self.part()


class Channels:
    """Those of one agent's connection. `say` sends a frame to the agent."""

    __slots__ = ("_last", "_open", "say")

    def __init__(self, say: Callable[[str | bytes], None]) -> None:
        self.say = say
        self._open: dict[int, Channel] = {}
        self._last = FIRST_STREAM - 1

    def open(self) -> Channel | None:
        """A new one; None where there are too many."""
        if len(self._open) >= CHANNELS or self._last >= 2**32 - 1:
            return None
        self._last += 1
        channel = self._open[self._last] = Channel(self._last, self)
        return channel

    def chunk(self, stream: int, data: bytes) -> None:
        """A chunk from the agent; of a stream that is closed, it is late. Raises `Malformed`."""
        channel = self._open.get(stream)
        if channel is not None:
            channel.feed(data)

    def control(self, message: Wire) -> None:
        """A plain frame from the agent. Raises `Malformed`."""
        channel = self._open.get(getattr(message, "stream", 0))
        if channel is not None:
            channel.feed(frames.control(message))
            if isinstance(message, Ended):
                del self._open[channel.stream]
                channel.part()

    def closed(self, stream: int) -> None:
        """A client let go."""
        if self._open.pop(stream, None) is not None:
            self.say(frames.control(Left(stream)))

    def part(self) -> None:
        """The agent is gone."""
        for channel in self._open.values():
            channel.part()
        self._open.clear()
