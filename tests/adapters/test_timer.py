"""Timers: the system's and the one moved by hand, to one contract."""

from __future__ import annotations

import datetime
import threading
import time
from typing import TYPE_CHECKING, Protocol

import apscheduler.schedulers.base
import pytest

from reconciler.adapters.timer import HandTimer, SystemClock, SystemTimer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.core.ports import Clock, Timer

DEADLINE = 20.0
SHORT = 0.02
"""Seconds of an interval: tests wait on what happens, not for how long it takes."""


class Setting(Protocol):
    """A timer, its clock, and how to let time pass until something is so."""

    timer: Timer
    clock: Clock

    def until(self, condition: Callable[[], bool]) -> None: ...


class Real:
    def __init__(self) -> None:
        self.timer, self.clock = SystemTimer(), SystemClock()

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, "it never came to be"
            time.sleep(0.002)


class ByHand:
    def __init__(self) -> None:
        self.timer = self.clock = HandTimer(1_700_000_000_000)

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if condition():
                return
            self.timer.advance(SHORT / 2)
        pytest.fail("it never came to be")


@pytest.fixture(params=[Real, ByHand])
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    setting: Setting = request.param()
    yield setting
    setting.timer.close()


def test_every_runs_again_and_again(setting: Setting) -> None:
    runs: list[int] = []
    setting.timer.every(SHORT, lambda: runs.append(setting.clock.now_ms()))
    assert runs == []
    setting.until(lambda: len(runs) >= 4)
    assert runs[3] - runs[0] >= 3 * SHORT * 1000 * 0.5


def test_at_runs_once_and_not_before(setting: Setting) -> None:
    when = setting.clock.now_ms() + 60
    runs: list[int] = []
    beats: list[None] = []
    setting.timer.at(when, lambda: runs.append(setting.clock.now_ms()))
    setting.until(lambda: bool(runs))
    setting.timer.every(SHORT, lambda: beats.append(None))
    setting.until(lambda: len(beats) >= 3)
    assert len(runs) == 1
    assert runs[0] >= when


def test_an_instant_that_has_passed_is_now(setting: Setting) -> None:
    runs: list[None] = []
    setting.timer.at(setting.clock.now_ms() - 3_600_000, lambda: runs.append(None))
    setting.until(lambda: len(runs) == 1)


def test_a_job_that_fails_is_logged_and_runs_again(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    runs: list[None] = []

    def fail() -> None:
        runs.append(None)
        raise RuntimeError("out of luck")

    setting.timer.every(SHORT, fail)
    setting.until(lambda: len(runs) >= 3)
    assert "out of luck" in caplog.text


def test_a_job_can_be_taken_back(setting: Setting) -> None:
    kept: list[None] = []
    taken: list[None] = []
    take_back = setting.timer.every(SHORT, lambda: taken.append(None))
    never = setting.timer.at(setting.clock.now_ms() + 200, lambda: taken.append(None))
    setting.until(lambda: len(taken) >= 2)
    take_back()
    never()
    take_back()
    setting.timer.every(SHORT, lambda: kept.append(None))
    setting.until(lambda: bool(kept))  # one that was under way when it was taken back has ended by now
    before = len(taken)
    setting.until(lambda: len(kept) >= 15)
    assert len(taken) == before


def test_taking_back_what_is_over_does_nothing(setting: Setting) -> None:
    runs: list[None] = []
    take_back = setting.timer.at(setting.clock.now_ms(), lambda: runs.append(None))
    setting.until(lambda: bool(runs))
    take_back()
    take_back()


def test_after_close_nothing_starts(setting: Setting) -> None:
    runs: list[None] = []
    setting.timer.every(SHORT, lambda: runs.append(None))
    setting.until(lambda: bool(runs))
    setting.timer.close()
    before = len(runs)
    if isinstance(setting.timer, HandTimer):
        setting.timer.advance(10)
    assert len(runs) == before
    setting.timer.close()


class TestSystemTimer:
    def test_a_job_under_way_is_not_started_twice(self) -> None:
        setting = Real()
        inside, most, runs, beats = [0], [0], [0], [0]
        go_on = threading.Event()

        def slow() -> None:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            go_on.wait(DEADLINE)
            inside[0] -= 1
            runs[0] += 1

        def beat() -> None:
            beats[0] += 1

        setting.timer.every(SHORT, slow)
        setting.timer.every(SHORT, beat)
        setting.until(lambda: inside[0] == 1 and beats[0] >= 10)
        go_on.set()
        setting.until(lambda: runs[0] >= 2)
        setting.timer.close()
        assert most[0] == 1

    def test_close_waits_for_what_is_running(self) -> None:
        setting = Real()
        started, ended = threading.Event(), threading.Event()

        def job() -> None:
            started.set()
            time.sleep(0.05)
            ended.set()

        setting.timer.at(0, job)
        assert started.wait(DEADLINE)
        setting.timer.close()
        assert ended.is_set()

    def test_a_running_job_may_use_the_timer_while_it_closes(self) -> None:
        setting = Real()
        started, closing, ended = threading.Event(), threading.Event(), threading.Event()
        take_back = setting.timer.every(3600, lambda: None)

        def job() -> None:
            started.set()
            closing.wait(DEADLINE)
            take_back()
            setting.timer.at(0, lambda: None)
            ended.set()

        setting.timer.at(0, job)
        assert started.wait(DEADLINE)
        closer = threading.Thread(target=setting.timer.close)
        closer.start()
        closing.set()
        closer.join(DEADLINE)
        assert not closer.is_alive()
        assert ended.is_set()

    def test_closing_at_any_moment_breaks_nothing(self) -> None:
        for _ in range(60):
            setting = Real()
            started = threading.Event()
            setting.timer.at(0, started.set)
            assert started.wait(DEADLINE)
            setting.timer.close()

    @pytest.mark.parametrize("hours", [-9, 9])
    def test_intervals_go_on_when_the_clock_is_set(self, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
        """APScheduler reckons in wall-clock time: set back, it would run nothing until that time came again."""
        by = [0.0]

        class Moved(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> Moved:
                return cls.fromtimestamp(time.time() + by[0], tz)

        class MovedClock:
            def now_ms(self) -> int:
                return round((time.time() + by[0]) * 1000)

            def elapsed(self) -> float:
                return time.monotonic()

        monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Moved)
        runs: list[None] = []
        setting = Real()
        setting.timer.close()
        setting.timer = SystemTimer(MovedClock())
        setting.timer.every(SHORT, lambda: runs.append(None))
        setting.until(lambda: len(runs) >= 2)
        by[0] = hours * 3600.0
        before = len(runs)
        setting.until(lambda: len(runs) >= before + 5)
        setting.timer.close()
        assert len(runs) < 1000


class TestHandTimer:
    def test_jobs_run_in_order_of_their_time_and_see_it(self) -> None:
        timer = HandTimer(1000)
        seen: list[tuple[str, int]] = []
        timer.every(2, lambda: seen.append(("every", timer.now_ms())))
        timer.at(4500, lambda: seen.append(("at", timer.now_ms())))
        timer.advance(6)
        assert seen == [("every", 3000), ("at", 4500), ("every", 5000), ("every", 7000)]
        assert timer.now_ms() == 7000

    def test_a_job_may_add_and_take_back_jobs(self) -> None:
        timer = HandTimer()
        seen: list[str] = []
        take_back = timer.every(1, lambda: seen.append("a"))

        def swap() -> None:
            take_back()
            timer.at(3000, lambda: seen.append("b"))

        timer.at(2500, swap)
        timer.advance(5)
        assert seen == ["a", "a", "b"]

    def test_intervals_go_on_when_the_clock_is_set(self) -> None:
        timer = HandTimer(10_000)
        seen: list[tuple[int, float]] = []
        timer.every(2, lambda: seen.append((timer.now_ms(), timer.elapsed())))
        timer.advance(3)
        timer.set_clock(-9)
        timer.advance(2)
        assert seen == [(12_000, 12.0), (5_000, 14.0)]
        assert (timer.now_ms(), timer.elapsed()) == (6_000, 15.0)


def test_the_system_clock_is_the_wall_clock() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= SystemClock().now_ms() <= time.time_ns() // 1_000_000


def test_time_passes_on_the_system_clock_whoever_sets_it() -> None:
    before = time.monotonic()
    assert before <= SystemClock().elapsed() <= time.monotonic()
