"""Who owns all state: whoever wants something done hands in a function and may wait for its answer."""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reconciler.core.problem import Problem, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_T = TypeVar("_T")
QUEUE_LIMIT = 20_000
"""Requests waiting at most; one more is told to come back, so that a storm is pushed back to where it comes from."""
BATCH = 1_000
"""Requests worked off at most before the loop settles: nobody's report waits for more."""


class Loop(Protocol):
    """One request at a time. After some of them it settles: what they had in common is done once."""

    @property
    def over(self) -> str:
        """Why nothing is taken in any more; empty while it is."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Work off what is queued, then end. What comes later is told so."""

    def end(self, why: str) -> None:
        """Turn away everything that comes from now on; may be called from anywhere, also by the loop's own work."""

    def post(self, work: Callable[[], _T]) -> Future[_T]:
        """Have `work` run. Raises `Unavailable` when too much waits or the loop has ended."""

    def call(self, work: Callable[[], _T]) -> _T:
        """Have `work` run and wait for what it returns or raises."""


class ThreadLoop:
    """A queue and a thread. `settle` is called on the thread whenever a batch of requests was worked off."""

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle
        self._requests: queue.Queue[tuple[Future[Any], Callable[[], Any]] | None] = queue.Queue(QUEUE_LIMIT)
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)
        self._over = ""
        self._ended = False

    @property
    def over(self) -> str:
        return self._over

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        self.end("it is shutting down")
        if self._thread.is_alive():
            self._requests.put(None)
            self._thread.join(timeout)
        if self._thread.is_alive():
            log.error("the controller is still at work after %.0f s and is left behind", timeout)

    def end(self, why: str) -> None:
        self._over = self._over or why

    def post(self, work: Callable[[], _T]) -> Future[_T]:
        future: Future[_T] = Future()
        if self._over:
            raise Unavailable("the controller", self._over)
        try:
            self._requests.put_nowait((future, work))
        except queue.Full:
            raise Unavailable("the controller", "too many requests wait", retry_after=1.0) from None
        if self._ended:
            self._turn_away()
        return future

    def call(self, work: Callable[[], _T]) -> _T:
        if threading.current_thread() is self._thread:
            return work()
        return self.post(work).result()

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = [self._requests.get()]
            while len(batch) < BATCH:
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


class InlineLoop:
    """The same on the caller's own thread, settling after each request: for driving a controller step by step."""

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle
        self._turn = threading.RLock()
        self._inside = False
        self._over = ""

    @property
    def over(self) -> str:
        return self._over

    def start(self) -> None:
        """Nothing runs by itself."""

    def stop(self) -> None:
        self.end("it is shutting down")

    def end(self, why: str) -> None:
        self._over = self._over or why

    def post(self, work: Callable[[], _T]) -> Future[_T]:
        future: Future[_T] = Future()
        with self._turn:
            if self._over:
                raise Unavailable("the controller", self._over)
            inside, self._inside = self._inside, True
            try:
                _answer(future, work)
                if not inside:
                    _guarded(self._settle)
            finally:
                self._inside = inside
        return future

    def call(self, work: Callable[[], _T]) -> _T:
        if self._inside:
            return work()
        return self.post(work).result()


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
