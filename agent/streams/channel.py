"""One channel of a session on this node: an endpoint, and both directions of bytes between it and the client."""

from __future__ import annotations

import select
from typing import Callable, Optional, Tuple

from agent.contract import frames
from agent.contract.codec import Wire
from agent.contract.flow import Incoming, Outgoing
from agent.contract.session import Ended, Opened, Taken
from agent.streams.endpoint import Endpoint

READ_SIZE = 64 * 1024

Say = Callable[[Wire], None]
Heard = Callable[[bytes], None]


class Channel:
    """`stream` is its number on the connection of the moment, None while there is none.

    `endpoint` is None while it is being opened, and in a channel that only stands for its session.
    `record` is told what the endpoint says before anybody else is.
    """

    def __init__(self, number: int, say: Say, record: Heard, now: float) -> None:
        self.number, self._say, self._record = number, say, record
        self.stream: Optional[int] = None
        self.endpoint: Optional[Endpoint] = None
        self.left_at = now
        self.ended: Optional[Ended] = None
        self._out, self._into = Outgoing(), Incoming()
        self._pending = bytearray()
        self._finished = self._eof = False

    @property
    def counts(self) -> Tuple[int, int]:
        """Bytes from the client, and from the endpoint."""
        return self._into.received, self._out.said

    def attach(self, stream: int, received: int) -> None:
        """The client is here, or here again, and has so much. Raises `Malformed`."""
        self._out.resume(received)
        self.stream = stream
        self._say(Opened(stream, self._into.resume()))

    def detach(self, now: float) -> None:
        """Nobody is there for now."""
        if self.stream is not None:
            self.stream, self.left_at = None, now

    def chunk(self, frame: frames.StreamFrame) -> bytes:
        """The client says something. Raises `Malformed`."""
        data = self._into.chunk(frame)
        self._pending += data
        return data

    def taken(self, offset: int) -> None:
        """The client has so much. Raises `Malformed`."""
        self._out.taken(offset)

    def next_frame(self) -> Optional[bytes]:
        """What there is to send on this connection."""
        return None if self.stream is None else self._out.next_frame(self.stream)

    @property
    def sendable(self) -> bool:
        """Whether `next_frame` may have something."""
        return self.stream is not None and self._out.sendable

    def events(self) -> int:
        """What to poll the endpoint for; 0 for nothing."""
        reading = not self._eof and self._out.room > 0
        return (select.POLLIN if reading else 0) | (select.POLLOUT if self._pending else 0)

    def pump(self) -> None:
        """Move what can be moved. Never waits."""
        if self.endpoint is None:
            return
        self._write(self.endpoint)
        self._read(self.endpoint)
        if self._eof and self.endpoint.over():
            self._out.finish()

    def settled(self) -> bool:
        """Whether the endpoint is over, and the client has all it said."""
        return self._out.settled

    def _write(self, endpoint: Endpoint) -> None:
        passed = 0
        try:
            while self._pending:
                count = endpoint.write(bytes(self._pending[:READ_SIZE]))
                if not count:
                    break
                del self._pending[:count]
                passed += count
        except OSError:  # nobody will read it: what the endpoint still says is all that is left
            passed += len(self._pending)
            self._pending.clear()
        offset = self._into.passed(passed) if passed else None
        if offset is not None and self.stream is not None:
            self._say(Taken(self.stream, offset))
        if self._into.ended and not self._pending and not self._finished:
            self._finished = True
            endpoint.finish()

    def _read(self, endpoint: Endpoint) -> None:
        while not self._eof and self._out.room > 0:
            data = endpoint.read(min(READ_SIZE, self._out.room))
            if data is None:
                return
            if not data:
                self._eof = True
                return
            self._record(data)
            self._out.add(data)
