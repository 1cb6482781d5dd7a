"""The loop: one request at a time, in order, settled once per batch; and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from reconciler.controller import loop as loops
from reconciler.controller.loop import InlineLoop, Loop, ThreadLoop
from reconciler.core.problem import Refused, Unavailable

Make = Callable[[Callable[[], None]], Loop]


@contextmanager
def running(make: Make, settle: Callable[[], None] = lambda: None) -> Iterator[Loop]:
    loop = make(settle)
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()


@pytest.fixture(params=[ThreadLoop, InlineLoop])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


def refuse() -> None:
    raise Refused("no")


def test_a_call_returns_and_raises_what_its_work_does(make: Make) -> None:
    with running(make) as loop:
        assert loop.call(lambda: 7) == 7
        with pytest.raises(Refused):
            loop.call(refuse)
        with pytest.raises(ZeroDivisionError):
            loop.call(lambda: 1 // 0)
        assert loop.post(lambda: 8).result(5) == 8


def test_requests_run_in_order_and_one_at_a_time(make: Make) -> None:
    seen: list[int] = []
    with running(make) as loop:
        for number in range(200):
            loop.post(partial(seen.append, number))
        assert loop.call(lambda: list(seen)) == list(range(200))


def test_many_threads_are_one_after_the_other(make: Make) -> None:
    count = [0]

    def add() -> None:
        before = count[0]
        threading.Event().wait(0)
        count[0] = before + 1

    with running(make) as loop:
        threads = [threading.Thread(target=lambda: [loop.call(add) for _ in range(50)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert count == [400]


def test_work_may_call_for_work(make: Make) -> None:
    with running(make) as loop:
        assert loop.call(lambda: loop.call(lambda: 5) + 1) == 6


def test_a_settling_that_fails_ends_nothing(make: Make) -> None:
    settled: list[int] = []

    def settle() -> None:
        settled.append(1)
        raise Refused("no") if len(settled) % 2 else ZeroDivisionError

    with running(make, settle) as loop:
        assert [loop.call(lambda: 1) for _ in range(6)] == [1] * 6
    assert len(settled) >= 5


def test_after_the_end_everybody_is_told_so(make: Make) -> None:
    with running(make) as loop:
        loop.call(lambda: None)
    assert loop.over == "it is shutting down"
    with pytest.raises(Unavailable, match="shutting down"):
        loop.call(lambda: None)


def test_it_may_be_ended_from_within(make: Make) -> None:
    with running(make) as loop:
        loop.call(lambda: loop.end("another daemon leads"))
        with pytest.raises(Unavailable, match="another daemon leads"):
            loop.post(lambda: None)


def test_a_batch_settles_once() -> None:
    settled: list[int] = []
    go_on, inside = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(10)

    with running(ThreadLoop, lambda: settled.append(1)) as loop:
        first = loop.post(wait)
        assert inside.wait(10)
        rest = [loop.post(lambda: None) for _ in range(100)]
        go_on.set()
        for future in (first, *rest):
            future.result(10)
        loop.call(lambda: None)
        assert loop.call(lambda: len(settled)) <= 4


def test_what_is_queued_at_the_end_is_still_done() -> None:
    go_on, inside = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(10)

    loop = ThreadLoop(lambda: None)
    loop.start()
    loop.post(wait)
    assert inside.wait(10)
    queued = [loop.post(partial(int, number)) for number in range(5)]
    ending = threading.Thread(target=loop.stop)
    ending.start()
    while not loop.over:
        threading.Event().wait(0.001)
    go_on.set()
    ending.join(10)
    assert [future.result(0) for future in queued] == [0, 1, 2, 3, 4]


def test_a_storm_is_pushed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "QUEUE_LIMIT", 10)
    go_on, inside = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(10)

    with running(ThreadLoop) as loop:
        loop.post(wait)
        assert inside.wait(10)
        taken = [loop.post(lambda: None) for _ in range(10)]
        with pytest.raises(Unavailable, match="too many requests wait") as caught:
            loop.post(lambda: None)
        assert caught.value.retry_after > 0
        go_on.set()
        for future in taken:
            future.result(10)


def test_nobody_waits_for_an_answer_that_never_comes() -> None:
    """Posting races with the end: every request is done or turned away."""
    for _ in range(30):
        loop = ThreadLoop(lambda: None)
        loop.start()
        ends: list[str] = []

        def ask(loop: ThreadLoop = loop, ends: list[str] = ends) -> None:
            for _ in range(50):
                try:
                    loop.post(lambda: None).result(10)
                    ends.append("done")
                except Unavailable:
                    ends.append("turned away")

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        loop.stop()
        for thread in asking:
            thread.join(20)
            assert not thread.is_alive()
        assert len(ends) == 150


def test_work_that_does_not_end_is_left_behind() -> None:
    go_on = threading.Event()
    loop = ThreadLoop(lambda: None)
    loop.start()
    loop.post(lambda: go_on.wait(10))
    loop.stop(timeout=0.05)
    go_on.set()
