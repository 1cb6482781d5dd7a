"""Time: the system's clock, and APScheduler as the timer; beside them the same driven by hand."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

if TYPE_CHECKING:
    from reconciler.core.ports import Clock

log = logging.getLogger(__name__)
THREADS = 8
LONGEST_SLEEP = 30.0
"""Seconds after which the scheduler looks at the clock again, whatever it waits for: someone may have set it."""
STEP = 1.0
"""Seconds by which the wall clock has to leave the monotonic one to count as set."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def elapsed(self) -> float:
        return time.monotonic()


class SystemTimer:
    """`Timer` on threads of its own."""

    def __init__(self, clock: Clock | None = None) -> None:
        # Its warnings are of runs that it left out, which is what was asked of it; failures are logged here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._threads = ThreadPoolExecutor(THREADS)
        self._scheduler = _SteadyScheduler(
            clock or SystemClock(),
            executors={"default": self._threads},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._scheduler.start()

    def every(self, seconds: float, job: Callable[[], None]) -> Callable[[], None]:
        return self._taken(self._scheduler.add_job(_logged(job), "interval", seconds=seconds).id)

    def at(self, instant: int, job: Callable[[], None]) -> Callable[[], None]:
        when = datetime.fromtimestamp(instant / 1000, UTC)
        return self._taken(self._scheduler.add_job(_logged(job), "date", run_date=when).id)

    def close(self) -> None:
        if not self._scheduler.running:
            return
        # In this order: shutting down while a round is under way breaks that round, and waiting for jobs inside
        # `shutdown` holds locks that a job may ask for.
        self._scheduler.pause()
        self._scheduler.remove_all_jobs()
        self._scheduler.shutdown(wait=False)
        self._threads.shutdown(wait=True)

    def _taken(self, job_id: str) -> Callable[[], None]:
        def take_back() -> None:
            with suppress(JobLookupError):
                self._scheduler.remove_job(job_id)

        return take_back


class _SteadyScheduler(BackgroundScheduler):  # type: ignore[misc]  # APScheduler is untyped
    """Keeps intervals through a change of the wall clock, which APScheduler reckons in.

    Set back by an hour, it would run nothing for an hour; so the runs to come are set back with it.
    """

    def __init__(self, clock: Clock, **options: object) -> None:
        self._clock = clock
        self._ahead = self._ahead_of_monotonic()
        super().__init__(**options)

    def _process_jobs(self) -> float:
        ahead = self._ahead_of_monotonic()
        if abs(ahead - self._ahead) > STEP:
            self._shift(timedelta(seconds=ahead - self._ahead))
            self._ahead = ahead
        wait: float | None = super()._process_jobs()
        return LONGEST_SLEEP if wait is None else min(wait, LONGEST_SLEEP)

    def _shift(self, by: timedelta) -> None:
        log.warning("the clock was set by %.1f s", by.total_seconds())
        for job in self.get_jobs():
            if isinstance(job.trigger, IntervalTrigger):
                job.modify(next_run_time=job.next_run_time + by)

    def _ahead_of_monotonic(self) -> float:
        return self._clock.now_ms() / 1000 - time.monotonic()


class HandTimer:
    """`Timer` and `Clock` that move only when `advance` says so; jobs run on the caller's thread, in order of time."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now = now_ms
        self._set_by = 0
        self._order = itertools.count()
        self._queue: list[tuple[int, int, int, Callable[[], None]]] = []

    def now_ms(self) -> int:
        return self._now + self._set_by

    def elapsed(self) -> float:
        return self._now / 1000

    def set_clock(self, seconds: float) -> None:
        """Set the wall clock forward or back: `now_ms` tells the difference, intervals do not."""
        self._set_by += round(seconds * 1000)

    def every(self, seconds: float, job: Callable[[], None]) -> Callable[[], None]:
        return self._add(self._now + round(seconds * 1000), round(seconds * 1000), job)

    def at(self, instant: int, job: Callable[[], None]) -> Callable[[], None]:
        return self._add(instant - self._set_by, 0, job)

    def close(self) -> None:
        self._queue.clear()

    def advance(self, seconds: float) -> None:
        """Let time pass; what falls due runs at its own instant."""
        end = self._now + round(seconds * 1000)
        while self._queue and self._queue[0][0] <= end:
            when, number, interval, job = heapq.heappop(self._queue)
            self._now = max(self._now, when)
            if interval:
                heapq.heappush(self._queue, (when + interval, number, interval, job))
            _logged(job)()
        self._now = end

    def _add(self, when: int, interval: int, job: Callable[[], None]) -> Callable[[], None]:
        number = next(self._order)
        heapq.heappush(self._queue, (when, number, interval, job))

        def take_back() -> None:
            self._queue = [entry for entry in self._queue if entry[1] != number]
            heapq.heapify(self._queue)

        return take_back


def _logged(job: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            job()
        except Exception:
            log.exception("a timed job failed")

    return run
