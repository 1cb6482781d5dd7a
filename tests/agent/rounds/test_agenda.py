"""When each association is due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agent.contract.canonical import milliseconds
from agent.contract.wire import Assignment, Interval
from agent.rounds import agenda
from agent.rounds.agenda import Agenda
from agent.state.journal import RunInstant

NODE = "mi-0123456789abcdef0"


def assignment(generation: int = 1, digest: str = "sha256:a") -> Assignment:
    return Assignment(generation, digest, "none", [Interval()])


def test_what_is_new_is_due_at_once_and_then_at_the_interval() -> None:
    book = Agenda(NODE)
    book.adopt({"a": assignment(), "b": assignment()}, "context", 5, now=100.0)
    assert book.due(100.0) == ["a", "b"]
    assert book.all_looked_since() is None
    book.looked("a", 100.0)
    assert book.due(100.0) == ["b"]
    book.looked("b", 101.0)
    assert book.due(104.9) == []
    assert book.next_look() == 105.0
    assert book.due(106.0) == ["a", "b"]
    assert book.all_looked_since() == 100.0


def test_only_what_differs_in_a_newer_set_is_due_at_once() -> None:
    book = Agenda(NODE)
    book.adopt({"a": assignment(), "b": assignment(), "c": assignment()}, "context", 5, now=0.0)
    for uid in "abc":
        book.looked(uid, 0.0)
    book.adopt({"a": assignment(), "b": assignment(2), "d": assignment()}, "context", 5, now=1.0)
    assert book.due(1.0) == ["b", "d"]
    book.looked("b", 1.0)
    book.looked("d", 1.0)
    book.looked("gone", 1.0)
    book.adopt({"a": assignment(), "b": assignment(2)}, "other context", 5, now=2.0)
    assert book.due(2.0) == ["a", "b"]


def test_what_is_new_comes_before_what_comes_again() -> None:
    book = Agenda(NODE)
    book.adopt({"a": assignment()}, "context", 5, now=0.0)
    book.looked("a", 0.0)
    book.adopt({"a": assignment(), "z": assignment()}, "context", 5, now=9.0)
    assert book.due(9.0) == ["z", "a"]


def test_a_shorter_interval_holds_from_now_on() -> None:
    book = Agenda(NODE)
    book.adopt({"a": assignment()}, "context", 50, now=0.0)
    book.looked("a", 0.0)
    book.adopt({"a": assignment()}, "context", 5, now=1.0)
    assert book.next_look() == 5.0


def test_nothing_held_is_never_due() -> None:
    book = Agenda(NODE)
    book.adopt({}, "context", 5, now=0.0)
    assert book.due(1e9) == []
    assert book.next_look() is None
    assert book.all_looked_since() is None


@given(some.integers(60, 86400), some.floats(0, 1e7), some.text(min_size=1, max_size=5))
def test_a_long_interval_is_kept_at_a_place_of_its_own(interval: int, last: float, uid: str) -> None:
    book = Agenda(NODE)
    book.adopt({uid: assignment()}, "context", interval, now=last)
    book.looked(uid, last)
    first = book.next_look()
    assert first is not None
    assert last < first <= last + interval + agenda.ROUNDING
    book.looked(uid, first)
    second = book.next_look()
    assert second is not None
    assert second - first == pytest.approx(interval)
    beside = (first - agenda.splay(NODE, uid, interval)) % interval
    assert min(beside, interval - beside) < 1e-3


def test_a_fleet_does_not_look_in_step() -> None:
    places = [agenda.splay(f"mi-{number:017x}", "Association/motd", 1800) for number in range(1000)]
    tenths = [sum(180 * at <= place < 180 * (at + 1) for place in places) for at in range(10)]
    assert min(tenths) > 60
    assert agenda.splay(NODE, "a", 59) == 0.0


DAY = milliseconds("2026-03-01T00:00:00.000Z")
HOUR = 3_600_000


def test_a_schedule_asks_for_its_next_instant_once() -> None:
    taken = agenda.first_instant(4, DAY + 10)
    assert taken == RunInstant(4, "", DAY + 10)
    assert agenda.due_instant("rate(1 hour)", taken, DAY + HOUR - 1) is None
    assert agenda.next_instant("rate(1 hour)", taken) == DAY + HOUR
    due = agenda.due_instant("rate(1 hour)", taken, DAY + HOUR + 7)
    assert due == RunInstant(4, "2026-03-01T01:00:00.000Z", DAY + HOUR + 7)
    assert agenda.due_instant("rate(1 hour)", due, DAY + HOUR + 8) is None


def test_instants_missed_while_away_are_made_up_for_once() -> None:
    taken = RunInstant(1, "", DAY)
    due = agenda.due_instant("cron(0 3 * * ? *)", taken, DAY + 5 * 24 * HOUR)
    assert due is not None
    assert due.text == "2026-03-05T03:00:00.000Z"
    assert agenda.due_instant("cron(0 3 * * ? *)", due, DAY + 5 * 24 * HOUR + 1) is None
    assert agenda.next_instant("cron(0 3 * * ? *)", due) == DAY + (5 * 24 + 3) * HOUR


def test_a_clock_that_was_ahead_stops_no_schedule() -> None:
    taken = RunInstant(1, "2031-01-01T00:00:00.000Z", DAY + 5 * 365 * 24 * HOUR)
    counted = agenda.due_instant("rate(1 hour)", taken, DAY)
    assert counted == RunInstant(1, "2031-01-01T00:00:00.000Z", DAY)
    assert agenda.due_instant("rate(1 hour)", taken._replace(at=DAY + 30_000), DAY) is None


def test_without_a_schedule_there_is_no_instant() -> None:
    assert agenda.next_instant(None, RunInstant(1, "", DAY)) is None
    assert agenda.next_instant("rate(1 hour)", None) is None
    assert agenda.next_instant("every day", RunInstant(1, "", DAY)) is None


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([], False),
        ([Interval()], True),
        ([Interval(not_before="2026-03-01T00:00:00.001Z")], False),
        ([Interval(not_before="2026-03-01T00:00:00.000Z")], True),
        ([Interval(not_after="2026-03-01T00:00:00.000Z")], False),
        ([Interval(not_after="2026-02-01T00:00:00.000Z"), Interval(not_after="2026-03-02T00:00:00.000Z")], True),
        ([Interval(not_before="tomorrow")], False),
    ],
)
def test_changes_are_allowed_inside_the_intervals_only(intervals: list[Interval], expected: bool) -> None:
    assert agenda.allowed(intervals, DAY) is expected
