"""ISO 8601 durations and instants, as `aws:sleep` takes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

LONGEST = 604_800
"""Seconds: SSM sleeps no longer than a week."""

_DURATION = re.compile(
    r"P(?=.)(?:(?P<weeks>\d{1,9})W|(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9}(?:\.\d{1,9})?)S)?)?)\Z"
)
_UNITS = {"weeks": LONGEST, "days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}


def milliseconds(duration: str) -> int:
    """`PT1H30M` as milliseconds. Years and months have no one length and are not taken. Raises `ValueError`."""
    found = _DURATION.match(duration)
    if not found:
        raise ValueError(duration)
    return round(sum(float(found[name] or 0) * unit for name, unit in _UNITS.items()) * 1000)


def instant(timestamp: str) -> int:
    """`2026-01-01T01:00:00Z` as Unix milliseconds; without an offset it is UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(timestamp)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def date(at: int) -> str:
    """The day of an instant in Unix milliseconds as `global:DATE` has it."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")


def date_time(at: int) -> str:
    """The instant in Unix milliseconds as `global:DATE_TIME` has it."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d_%H.%M.%S")
