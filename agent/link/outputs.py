"""What jobs say, on its way to the server over one connection: announced, then sent from where the server has it.

Of each stream a window is on its way at most, and a few streams at a time; the rest stays on disk. When a job's report
is acknowledged and all that it said is stored, nothing of it is kept.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Set, Tuple, Union

from agent.contract import frames
from agent.contract.job import Output, Stored
from agent.link.transfer import Misdelivery
from agent.log import WARNING, log
from agent.state.jobs import Jobs, Said

AT_ONCE = 8
"""Streams that are announced at a time."""
LOOK_SECONDS = 0.25
"""How often is looked whether more was said, while a job is open."""
UNANSWERED_SECONDS = 30.0

Key = Tuple[str, str, str]


class _Flow:
    """One stream. `stored` is what the server has, None before it said so; `at` is how far was sent."""

    def __init__(self, stream: int, now: float) -> None:
        self.stream, self.seq, self.at = stream, 0, 0
        self.stored: Optional[int] = None
        self.announced_at = now

    def room(self) -> int:
        """Bytes that may be sent now."""
        return 0 if self.stored is None else self.stored + frames.INITIAL_CREDIT - self.at


class Outputs:
    """The streams of one connection. `say` takes a control frame or a binary one, `waits` tells of a report's number
    whether it waits to be acknowledged.
    """

    def __init__(self, jobs: Jobs, say: Callable[[Union[str, bytes]], None], waits: Callable[[int], bool]) -> None:
        self._jobs, self._say, self._waits = jobs, say, waits
        self._flows: Dict[Key, _Flow] = {}
        self._done: Set[Key] = set()
        self._last = 0
        self._looked_at = float("-inf")

    def patience(self) -> float:
        """Seconds after which `send` may have something to do."""
        return LOOK_SECONDS if self._jobs.open() else float("inf")

    def send(self, now: float) -> None:
        """Send what may be sent now, and let go of jobs of which everything is stored."""
        open_ = self._jobs.open()
        if not open_:
            self._flows.clear()
            self._done.clear()
            return
        said = {(item.job_id, item.step, item.name): item for item in self._jobs.said()}
        for key, item in said.items():
            self._send(key, item, now)
        for taken in open_:
            waiting = any(key[0] == taken.id for key in said if key not in self._done)
            if self._jobs.is_reported(taken.id) and not waiting and not self._waits(self._jobs.report_of(taken.id)):
                self._forget(taken.id)

    def stored(self, message: Stored) -> None:
        """The server has so much of a stream; of one that is over, the word is late. Raises Misdelivery."""
        for key, flow in self._flows.items():
            if flow.stream == message.stream:
                if message.offset < 0 or (flow.stored is not None and message.offset > flow.at):
                    raise Misdelivery("%d bytes of job %s are stored, of %d sent" % (message.offset, key[0], flow.at))
                if flow.stored is None:
                    flow.at = message.offset
                flow.stored = max(flow.stored or 0, message.offset)
                if message.full:
                    self._done.add(key)

    def _send(self, key: Key, item: Said, now: float) -> None:
        if key in self._done:
            self._flows.pop(key, None)
            return
        flow = self._flows.get(key)
        if flow is not None and flow.stored is None and now - flow.announced_at > UNANSWERED_SECONDS:
            log(WARNING, "the server does not answer for what job %s says", key[0])
            flow = None
        if flow is None:
            if len(self._flows) < AT_ONCE or key in self._flows:
                self._last += 1
                self._flows[key] = _Flow(self._last, now)
                self._say(frames.control(Output(self._last, *key)))
            return
        whole = False
        while flow.room() > 0 and not whole:
            data = _read(item.paths, flow.at, min(frames.CHUNK, flow.room()))
            if not data:
                whole = True
            else:
                self._say(frames.pack(frames.StreamFrame(flow.stream, flow.seq, frames.DATA, data)))
                flow.seq, flow.at = flow.seq + 1, flow.at + len(data)
        if whole and item.ended and flow.stored == flow.at:
            self._say(frames.pack(frames.StreamFrame(flow.stream, flow.seq, frames.END, b"")))
            self._done.add(key)
            del self._flows[key]

    def _forget(self, job_id: str) -> None:
        self._jobs.delivered(job_id)
        self._done = {key for key in self._done if key[0] != job_id}
        self._flows = {key: flow for key, flow in self._flows.items() if key[0] != job_id}


def _read(paths: List[str], at: int, most: int) -> bytes:
    """Bytes of files that follow each other; empty where there are no more for now."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                size = file.seek(0, 2)
                if at < size:
                    file.seek(at)
                    return file.read(min(most, size - at))
        except FileNotFoundError:
            continue
        at -= size
    return b""
