"""SSM's schedule expressions, evaluated in UTC: `rate(30 minutes)` and AWS's six-field `cron(0 2 ? * SUN *)`.

Both sides use this: the server refuses what is wrong, the agent finds its next run without asking. An instant is Unix
milliseconds. Run instants depend on the expression alone, never on when somebody asked: `rate` falls on the multiples
of its period since 1970, so a node that restarts finds the same instants again.
"""

from __future__ import annotations

import bisect
import datetime
import functools
import re
from typing import FrozenSet, Iterator, List, Optional, Tuple

from agent.contract.record import NamedTuple

_UNITS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_RATE = re.compile(r"rate\(\s*([0-9]{1,9})\s+(minute|hour|day)(s?)\s*\)\Z")
_CRON = re.compile(r"cron\((.*)\)\Z")
_LAST_YEAR = 2199
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

EXPECTED = "rate(30 minutes) or cron(MINUTES HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK YEAR)"


class BadSchedule(ValueError):
    """The expression is not one; the message says which part and what it may be."""


def check(expression: str) -> Optional[str]:
    """What is wrong with a schedule expression, or None."""
    try:
        return None if next_after(expression, 0) is not None else "`%s` never comes" % expression
    except BadSchedule as error:
        return str(error)


def next_after(expression: str, after_ms: int) -> Optional[int]:
    """The first run instant after `after_ms`; None when there is none any more. Raises `BadSchedule`."""
    return _parse(expression).next_after(after_ms)


def latest(expression: str, after_ms: int, until_ms: int) -> Optional[int]:
    """The last run instant after `after_ms` and up to `until_ms`; None where there is none. Raises `BadSchedule`."""
    schedule = _parse(expression)
    found = schedule.next_after(after_ms)
    if found is None or found > until_ms:
        return None
    beyond = until_ms
    following = schedule.next_after(found)
    while following is not None and following <= until_ms:
        middle = (following + beyond) // 2
        later = schedule.next_after(middle)
        if later is None or later > until_ms:
            found, beyond = following, middle
        else:
            found = later
        following = schedule.next_after(found)
    return found


class _Rate(NamedTuple):
    period: int

    def next_after(self, after_ms: int) -> Optional[int]:
        return (after_ms // self.period + 1) * self.period


class _Days(NamedTuple):
    """Days of a month by number (`numbers`), or as `L`, `L-n`, `nW`, `LW`, or by weekday (Sunday is 0)."""

    numbers: FrozenSet[int] = frozenset()
    from_end: Optional[int] = None
    near: Optional[int] = None
    last_workday: bool = False
    weekdays: FrozenSet[int] = frozenset()
    nth: Optional[Tuple[int, int]] = None
    last_weekday: Optional[int] = None

    def of(self, year: int, month: int) -> List[int]:
        """The days of this month, in order."""
        import calendar  # of use only to cron expressions, and not small

        first, length = calendar.monthrange(year, month)
        sunday_first = (first + 1) % 7
        return [day for day in range(1, length + 1) if self._has(day, length, sunday_first)]

    def _has(self, day: int, length: int, first: int) -> bool:
        weekday = (first + day - 1) % 7
        if day in self.numbers or weekday in self.weekdays:
            return True
        if self.from_end is not None:
            return day == length - self.from_end
        if self.last_workday:
            return day == _nearest_workday(length, length, first)
        if self.near is not None:
            return self.near <= length and day == _nearest_workday(self.near, length, first)
        if self.nth is not None:
            return weekday == self.nth[0] and (day - 1) // 7 == self.nth[1] - 1
        return self.last_weekday is not None and weekday == self.last_weekday and day + 7 > length


def _nearest_workday(day: int, length: int, first: int) -> int:
    """The Monday to Friday nearest to a day, within its month."""
    weekday = (first + day - 1) % 7
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day


class _Cron(NamedTuple):
    """Each list in order."""

    minutes: List[int]
    hours: List[int]
    days: _Days
    months: List[int]
    years: List[int]

    def next_after(self, after_ms: int) -> Optional[int]:
        after = _EPOCH + datetime.timedelta(milliseconds=after_ms)
        for year, month in self._months_from(after.year, after.month):
            for day in self.days.of(year, month):
                if (year, month, day) < (after.year, after.month, after.day):
                    continue
                for hour in self.hours:
                    for minute in self.minutes:
                        moment = datetime.datetime(year, month, day, hour, minute, tzinfo=datetime.timezone.utc)
                        if moment > after:
                            since = moment - _EPOCH
                            return (since.days * 86400 + since.seconds) * 1000
        return None

    def _months_from(self, year: int, month: int) -> Iterator[Tuple[int, int]]:
        for candidate in self.years[bisect.bisect_left(self.years, year) :]:
            for number in self.months:
                if (candidate, number) >= (year, month):
                    yield candidate, number


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    words: Tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """A value of this field by number or word."""
        if text.upper() in self.words:
            return self.words.index(text.upper()) + self.low
        if not re.match(r"[0-9]{1,4}\Z", text) or not self.low <= int(text) <= self.high:
            raise BadSchedule("%s: `%s` is not %s" % (self.name, text, self._range()))
        return int(text)

    def values(self, text: str) -> FrozenSet[int]:
        """The values that `*`, lists, ranges and steps stand for."""
        return frozenset().union(*(self._part(part) for part in text.split(",")))

    def _part(self, text: str) -> FrozenSet[int]:
        span, slash, step_text = text.partition("/")
        if slash and not re.match(r"[1-9][0-9]{0,3}\Z", step_text):
            raise BadSchedule("%s: `%s` has no step after its `/`" % (self.name, text))
        low_text, dash, high_text = span.partition("-")
        if span == "*":
            low, high = self.low, self.high
        elif dash:
            low, high = self.number(low_text), self.number(high_text)
        else:
            low = self.number(span)
            high = self.high if slash else low
        step = int(step_text) if slash else 1
        if low <= high:
            return frozenset(range(low, high + 1, step))
        around = list(range(low, self.high + 1)) + list(range(self.low, high + 1))
        return frozenset(around[::step])

    def _range(self) -> str:
        words = " or %s-%s" % (self.words[0], self.words[-1]) if self.words else ""
        return "%d-%d%s" % (self.low, self.high, words)


_MINUTES = _Field("minutes", 0, 59)
_HOURS = _Field("hours", 0, 23)
_DAY_OF_MONTH = _Field("day of month", 1, 31)
_FROM_END = _Field("days before the end of the month", 0, 30)
_MONTH = _Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
_DAY_OF_WEEK = _Field("day of week", 1, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
_YEAR = _Field("year", 1970, _LAST_YEAR)


@functools.lru_cache(maxsize=1024)
def _parse(expression: str) -> "_Rate | _Cron":
    rate = _RATE.match(expression)
    if rate:
        value, unit, plural = int(rate.group(1)), rate.group(2), rate.group(3)
        if not value:
            raise BadSchedule("a rate of 0 never comes")
        if (value == 1) == bool(plural):
            raise BadSchedule("write rate(%d %s)" % (value, unit if value == 1 else unit + "s"))
        return _Rate(value * _UNITS[unit])
    cron = _CRON.match(expression)
    if not cron:
        raise BadSchedule("`%s` is no schedule expression" % expression)
    return _cron(cron.group(1).split())


def _cron(fields: List[str]) -> _Cron:
    if len(fields) != 6:
        hint = " (leave out the seconds)" if len(fields) == 7 else ""
        raise BadSchedule("cron() has %d fields, not 6%s" % (len(fields), hint))
    minutes, hours, day_of_month, month, day_of_week, year = fields
    if (day_of_month == "?") == (day_of_week == "?"):
        raise BadSchedule("one of day of month and day of week must be `?`, the other not")
    days = _days_of_week(day_of_week) if day_of_month == "?" else _days_of_month(day_of_month)
    return _Cron(
        sorted(_MINUTES.values(minutes)),
        sorted(_HOURS.values(hours)),
        days,
        sorted(_MONTH.values(month)),
        sorted(_YEAR.values(year)),
    )


def _days_of_month(text: str) -> _Days:
    if text == "LW":
        return _Days(last_workday=True)
    from_end = re.match(r"L(?:-([0-9]{1,2}))?\Z", text)
    if from_end:
        return _Days(from_end=_FROM_END.number(from_end.group(1) or "0"))
    if text.endswith("W"):
        return _Days(near=_DAY_OF_MONTH.number(text[:-1]))
    return _Days(numbers=_DAY_OF_MONTH.values(text))


def _days_of_week(text: str) -> _Days:
    if text == "L":
        return _Days(weekdays=frozenset({6}))
    if text.endswith("L"):
        return _Days(last_weekday=_DAY_OF_WEEK.number(text[:-1]) - 1)
    day, hash_, nth = text.partition("#")
    if hash_:
        if nth not in ("1", "2", "3", "4", "5"):
            raise BadSchedule("day of week: `%s` asks for no week 1-5" % text)
        return _Days(nth=(_DAY_OF_WEEK.number(day) - 1, int(nth)))
    return _Days(weekdays=frozenset(number - 1 for number in _DAY_OF_WEEK.values(text)))
