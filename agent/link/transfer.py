"""Bytes fetched by digest over one connection: a few at a time, under credit, straight to disk."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Callable, Deque, Dict, Iterable, Iterator, List, Optional, Set

from agent.contract import frames
from agent.contract.wire import Credit, Fetch, Missing, Stream
from agent.log import ERROR, log
from agent.state.assignments import Wanted
from agent.state.objects import Incoming, Objects, WrongBytes

WINDOW = 32
"""Digests asked for and not answered yet."""


class Misdelivery(Exception):
    """The server sent what was not asked for, or not in the agreed way."""


class _Flow:
    """One stream being received. Bytes that the disk does not take are dropped, and asked for again later."""

    def __init__(self, digest: str, receive: Callable[[], Incoming]) -> None:
        self.digest = digest
        self._incoming: Optional[Incoming] = None
        with self._or_lost():
            self._incoming = receive()
        self.seq = 0
        self.granted = frames.INITIAL_CREDIT
        self.received = 0

    def take(self, frame: frames.StreamFrame) -> int:
        """Write one chunk; the credit to grant for it, 0 for none yet."""
        if frame.seq != self.seq:
            raise Misdelivery("chunk %d of %s came where %d was due" % (frame.seq, self.digest, self.seq))
        self.seq += 1
        self.received += len(frame.data)
        if self.received > self.granted:
            raise Misdelivery("%s came faster than there was credit" % self.digest)
        with self._or_lost():
            if self._incoming is not None:
                self._incoming.write(frame.data)
        spent = self.received - (self.granted - frames.INITIAL_CREDIT)
        if frame.kind == frames.END or spent < frames.INITIAL_CREDIT // 2:
            return 0
        self.granted += spent
        return spent

    def kept(self) -> bool:
        """All has come: whether the disk has it."""
        with self._or_lost():
            if self._incoming is not None:
                self._incoming.finish()
        return self._incoming is not None

    def abort(self) -> None:
        if self._incoming is not None:
            self._incoming.abort()
            self._incoming = None

    @contextlib.contextmanager
    def _or_lost(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            log(ERROR, "%s cannot be kept, it is fetched again later: %s", self.digest, error)
            self.abort()


class Transfers:
    """What is being fetched. `say` sends a control frame."""

    def __init__(self, objects: Objects, say: Callable[[str], None]) -> None:
        self._objects, self._say = objects, say
        self._queue: Deque[Wanted] = deque()
        self._asked: Dict[str, Wanted] = {}
        self._flows: Dict[int, _Flow] = {}
        self.missing: Set[str] = set()

    @property
    def idle(self) -> bool:
        return not self._queue and not self._asked

    def want(self, wanted: Iterable[Wanted]) -> None:
        """Fetch these, in place of what was queued before; what is on its way still arrives."""
        self._queue = deque(item for item in wanted if item.digest not in self._asked)
        self.missing.clear()
        self._ask()

    def announced(self, message: Stream) -> None:
        """A stream begins. Raises Misdelivery."""
        wanted = self._asked.get(message.digest)
        if wanted is None or message.stream in self._flows or self._flow_of(message.digest):
            raise Misdelivery("a stream of %.80s, which was not asked for" % message.digest)
        if not 0 <= message.size <= wanted.limit:
            raise Misdelivery("%s has %d bytes; at most %d may come" % (message.digest, message.size, wanted.limit))
        self._flows[message.stream] = _Flow(message.digest, lambda: self._objects.receive(message.digest, message.size))

    def chunk(self, frame: frames.StreamFrame) -> None:
        """One binary frame. Raises Misdelivery, after which the connection is of no use."""
        flow = self._flows.get(frame.stream)
        if flow is None:
            raise Misdelivery("a chunk of stream %d, which was not announced" % frame.stream)
        try:
            grant = flow.take(frame)
            if grant:
                self._say(frames.control(Credit(frame.stream, grant)))
            if frame.kind == frames.END:
                if not flow.kept():
                    self.missing.add(flow.digest)
                del self._flows[frame.stream]
                self._answered(flow.digest)
        except WrongBytes as error:
            raise Misdelivery("%s: %s" % (flow.digest, error)) from error

    def absent(self, message: Missing) -> None:
        """The server does not have, or does not give, what was asked for."""
        if message.digest not in self._asked:
            raise Misdelivery("%.80s is missing, which was not asked for" % message.digest)
        self.missing.add(message.digest)
        self._answered(message.digest)

    def abort(self) -> None:
        """The connection is over: drop what came half."""
        for flow in self._flows.values():
            flow.abort()
        self._flows.clear()

    def _flow_of(self, digest: str) -> Optional[_Flow]:
        return next((flow for flow in self._flows.values() if flow.digest == digest), None)

    def _answered(self, digest: str) -> None:
        del self._asked[digest]
        self._ask()

    def _ask(self) -> None:
        if len(self._asked) > WINDOW // 2:
            return
        ask: List[str] = []
        while self._queue and len(self._asked) < WINDOW:
            wanted = self._queue.popleft()
            self._asked[wanted.digest] = wanted
            ask.append(wanted.digest)
        if ask:
            self._say(frames.control(Fetch(ask)))
