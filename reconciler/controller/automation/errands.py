"""Errands: what blocks, done on a bounded number of threads; what came of it is taken up on the loop."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Defect, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.controller.loop import Loop

log = logging.getLogger(__name__)
AT_ONCE = 32


class Errands:
    """`begin` runs an errand somewhere else than here. All but `hurry` is for the loop."""

    def __init__(self, loop: Loop, begin: Callable[[Callable[[], None]], object] | None = None) -> None:
        self._loop = loop
        self._threads = _Threads()
        self._begin = begin or self._threads.submit
        self._under_way: dict[str, Callable[[Any], None]] = {}
        self._done: deque[tuple[str, Any]] = deque()

    def run(self, key: str, call: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Have `call` run, once at a time for each key; `then` gets what it returns, or the `Problem` that it met."""
        if key not in self._under_way:
            self._under_way[key] = then
            self._begin(partial(self._run, key, call))

    def drop(self, key: str) -> bool:
        """Take nothing up from it any more; whether it was under way."""
        return self._under_way.pop(key, None) is not None

    def settle(self) -> None:
        """Take up what is done."""
        while self._done:
            key, found = self._done.popleft()
            then = self._under_way.pop(key, None)
            if then is not None:
                then(found)

    def hurry(self) -> None:
        """Have the loop settle soon; on any thread."""
        with suppress(Problem):  # the next tick does
            self._loop.post(lambda: None)

    def stop(self) -> None:
        """Begin nothing more, and wait for nothing: what is not done is asked for again by the next daemon."""
        self._threads.stop()

    def _run(self, key: str, call: Callable[[], Any]) -> None:
        if key not in self._under_way:
            return
        try:
            found = call()
        except Problem as problem:
            found = problem
        except Exception as error:
            log.exception("errand %s", key)
            found = Defect(f"{type(error).__name__}: {error}")
        self._done.append((key, found))
        self.hurry()


class _Threads:
    """At most `AT_ONCE` threads, begun when there is something to do; none keeps the program from ending."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._begun = 0
        self._over = False

    def submit(self, work: Callable[[], None]) -> None:
        """Have it run once a thread is free."""
        self._waiting.put(work)
        if not self._idle.acquire(blocking=False) and self._begun < AT_ONCE:
            self._begun += 1
            threading.Thread(target=self._run, name=f"errand-{self._begun}", daemon=True).start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._over = True

    def _run(self) -> None:
        while True:
            work = self._waiting.get()
            if not self._over:
                work()
            self._idle.release()
