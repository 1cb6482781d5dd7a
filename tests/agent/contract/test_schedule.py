"""Schedule expressions: AWS's own examples, each field's edges, and a second way of finding run instants."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract import schedule

MINUTE = 60_000


def at(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


def shown(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "never"
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
    return moment.strftime("%a %Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("expression", "after", "then"),
    [
        ("rate(30 minutes)", "2024-02-27 12:00", "Tue 2024-02-27 12:30"),
        ("rate(30 minutes)", "2024-02-27 12:29:59", "Tue 2024-02-27 12:30"),
        ("rate(1 minute)", "2024-02-27 12:00", "Tue 2024-02-27 12:01"),
        ("rate(6 hours)", "2024-02-27 12:01", "Tue 2024-02-27 18:00"),
        ("rate(1 day)", "2024-02-27 12:00", "Wed 2024-02-28 00:00"),
        ("cron(0 2 ? * SUN *)", "2024-02-27 12:00", "Sun 2024-03-03 02:00"),
        ("cron(0 2 ? * 1 *)", "2024-02-27 12:00", "Sun 2024-03-03 02:00"),
        ("cron(0/30 * * * ? *)", "2024-02-27 12:00", "Tue 2024-02-27 12:30"),
        ("cron(15 10 ? * 6L 2024-2026)", "2024-02-27 12:00", "Fri 2024-03-29 10:15"),
        ("cron(0 18 ? * MON-FRI *)", "2024-03-01 18:00", "Mon 2024-03-04 18:00"),
        ("cron(0 0 ? * FRI-MON *)", "2024-02-27 12:00", "Fri 2024-03-01 00:00"),
        ("cron(0 8 1 * ? *)", "2024-02-27 12:00", "Fri 2024-03-01 08:00"),
        ("cron(0 10 L * ? *)", "2024-02-27 12:00", "Thu 2024-02-29 10:00"),
        ("cron(0 10 L-3 * ? *)", "2024-02-27 12:00", "Thu 2024-03-28 10:00"),
        ("cron(0 10 LW * ? *)", "2024-03-01 00:00", "Fri 2024-03-29 10:00"),
        ("cron(0 10 1W 6 ? *)", "2024-02-27 12:00", "Mon 2024-06-03 10:00"),
        ("cron(0 10 30W 6 ? *)", "2024-02-27 12:00", "Fri 2024-06-28 10:00"),
        ("cron(0 10 15W 6 ? *)", "2024-02-27 12:00", "Fri 2024-06-14 10:00"),
        ("cron(0 10 31W * ? *)", "2024-04-01 00:00", "Fri 2024-05-31 10:00"),
        ("cron(0 0 ? * TUE#2 *)", "2024-02-27 12:00", "Tue 2024-03-12 00:00"),
        ("cron(0 0 ? * TUE#5 *)", "2024-02-01 00:00", "Tue 2024-04-30 00:00"),
        ("cron(0 0 ? * L *)", "2024-02-27 12:00", "Sat 2024-03-02 00:00"),
        ("cron(0 0 29 FEB ? *)", "2024-02-29 00:00", "Tue 2028-02-29 00:00"),
        ("cron(5,10-12 1/6 1,15 JAN,jul ? *)", "2024-01-15 19:12", "Mon 2024-07-01 01:05"),
        ("cron(59 23 31 12 ? *)", "2024-12-31 23:59", "Wed 2025-12-31 23:59"),
        ("cron(0 0 1 1 ? 2024)", "2024-01-01 00:00", "never"),
        ("cron(0 0 29 2 ? 2025)", "2024-03-01 00:00", "never"),
    ],
)
def test_next(expression: str, after: str, then: str) -> None:
    assert shown(schedule.next_after(expression, at(after))) == then


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("rate(1 day)", None),
        ("cron(0 2 ? * SUN *)", None),
        ("cron(0 0 1 1 ? 2020)", None),
        ("", "`` is no schedule expression"),
        ("every day", "`every day` is no schedule expression"),
        ("rate(0 days)", "a rate of 0 never comes"),
        ("rate(1 days)", "write rate(1 day)"),
        ("rate(2 day)", "write rate(2 days)"),
        ("rate(1.5 days)", "`rate(1.5 days)` is no schedule expression"),
        ("rate(1 week)", "`rate(1 week)` is no schedule expression"),
        ("rate(1 day)\n", "`rate(1 day)\n` is no schedule expression"),
        ("cron(0 2 * * SUN *)", "one of day of month and day of week must be `?`, the other not"),
        ("cron(0 2 ? * ? *)", "one of day of month and day of week must be `?`, the other not"),
        ("cron(0 2 * * ?)", "cron() has 5 fields, not 6"),
        ("cron(0 0 2 * * ? *)", "cron() has 7 fields, not 6 (leave out the seconds)"),
        ("cron(60 2 ? * SUN *)", "minutes: `60` is not 0-59"),
        ("cron(0 24 ? * SUN *)", "hours: `24` is not 0-23"),
        ("cron(0 0 0 * ? *)", "day of month: `0` is not 1-31"),
        ("cron(0 0 L-31 * ? *)", "days before the end of the month: `31` is not 0-30"),
        ("cron(0 0 1 13 ? *)", "month: `13` is not 1-12 or JAN-DEC"),
        ("cron(0 0 ? * SUNDAY *)", "day of week: `SUNDAY` is not 1-7 or SUN-SAT"),
        ("cron(0 0 ? * SUN#6 *)", "day of week: `SUN#6` asks for no week 1-5"),
        ("cron(0 0 1 1 ? 1969)", "year: `1969` is not 1970-2199"),
        ("cron(0/0 0 1 1 ? *)", "minutes: `0/0` has no step after its `/`"),
        ("cron(*/x 0 1 1 ? *)", "minutes: `*/x` has no step after its `/`"),
        ("cron(, 0 1 1 ? *)", "minutes: `` is not 0-59"),
        ("cron(-5 0 1 1 ? *)", "minutes: `` is not 0-59"),
        ("cron(0 0 30 2 ? *)", "`cron(0 0 30 2 ? *)` never comes"),
    ],
)
def test_check(expression: str, wrong: str | None) -> None:
    assert schedule.check(expression) == wrong


def test_next_of_what_is_no_schedule() -> None:
    with pytest.raises(schedule.BadSchedule, match="no schedule"):
        schedule.next_after("daily", 0)


NUMBERS = st.sampled_from(["*", "0", "7", "0/13", "5-20/5", "3,17,59", "50-10"])
HOURS = st.sampled_from(["*", "0", "7", "0/5", "5-20/5", "3,17,23", "22-2"])
MONTHS = st.sampled_from(["*", "2", "FEB", "1/5", "JAN-MAR", "11-2"])
_OF_MONTH = ["*", "28", "L", "L-2", "15W", "LW", "1,15"]
_OF_WEEK = ["*", "MON-FRI", "1", "2#1", "FRIL", "L"]
DAYS = st.sampled_from([*((day, "?") for day in _OF_MONTH), *(("?", day) for day in _OF_WEEK)])


@given(NUMBERS, HOURS, DAYS, MONTHS, st.integers(at("2023-01-01"), at("2025-01-01")))
def test_the_next_instant_is_the_first_that_fits(
    minutes: str, hours: str, days: tuple[str, str], months: str, after: int
) -> None:
    """Asked from just before it or from hours before it, the same instant is found: none lies between."""
    expression = f"cron({minutes} {hours} {days[0]} {months} {days[1]} *)"
    found = schedule.next_after(expression, after)
    assert found is not None
    assert found > after
    assert found % MINUTE == 0
    assert schedule.next_after(expression, found - 1) == found
    earlier = max(after, found - 600 * MINUTE)
    assert schedule.next_after(expression, earlier) == found


@given(st.sampled_from(["rate(7 minutes)", "rate(5 hours)", "rate(3 days)"]), st.integers(0, at("2100-01-01")))
def test_a_rate_does_not_depend_on_who_asks_when(expression: str, after: int) -> None:
    first = schedule.next_after(expression, after)
    assert first is not None
    second = schedule.next_after(expression, first)
    assert second is not None
    period = second - first
    assert first - after <= period
    assert first % period == 0
