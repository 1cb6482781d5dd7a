"""The thread that owns all state: whoever wants something done hands in a function and may wait for its answer."""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.core.problem import Problem, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_T = TypeVar("_T")
QUEUE_LIMIT = 20_000
"""Requests waiting at most; one more is told to come back, so that a storm is pushed back to where it comes from."""


class Loop:
    """A queue and a thread. `settle` is called on the thread whenever a batch of requests was worked off."""

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle
        self._requests: queue.Queue[tuple[Future[Any], Callable[[], Any]] | None] = queue.Queue(QUEUE_LIMIT)
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)
        self._stopping = self._ended = False

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Work off what is queued, then end."""
        self._stopping = True
        self._requests.put(None)
        self._thread.join(timeout)

    def post(self, work: Callable[[], _T]) -> Future[_T]:
        """Have `work` run on the thread. Raises `Unavailable` when too much waits or the loop is ending."""
        future: Future[_T] = Future()
        if self._stopping:
            raise Unavailable("the controller", "it is shutting down")
        try:
            self._requests.put_nowait((future, work))
        except queue.Full:
            raise Unavailable("the controller", "too many requests wait", retry_after=1.0) from None
        if self._ended:
            self._turn_away()
        return future

    def call(self, work: Callable[[], _T]) -> _T:
        """Have `work` run on the thread and wait for what it returns or raises."""
        if threading.current_thread() is self._thread:
            return work()
        return self.post(work).result()

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = [self._requests.get()]
            while len(batch) < 1_000:
                try:
                    batch.append(self._requests.get_nowait())
                except queue.Empty:
                    break
            for request in batch:
                if request is None:
                    ended = True
                else:
                    _answer(*request)
            _guarded(self._settle)
        self._ended = True
        self._turn_away()

    def _turn_away(self) -> None:
        """Requests that slipped in behind the last batch are told so, not left waiting."""
        while True:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return
            if request is not None:
                request[0].set_exception(Unavailable("the controller", "it has ended"))


def _answer(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as error:
        if not isinstance(error, Problem):
            log.exception("a request failed")
        future.set_exception(error)


def _guarded(work: Callable[[], None]) -> None:
    """The loop outlives whatever one round of it meets; the next round tries again."""
    try:
        work()
    except Problem as problem:
        log.warning("%s", problem)
    except Exception:
        log.exception("a round of the controller failed")
