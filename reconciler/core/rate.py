"""Rate control: SSM's `maxConcurrency` and `maxErrors`, as a number or a percentage of the targets."""

from __future__ import annotations

import re
from functools import lru_cache

PATTERN = r"^([1-9][0-9]*|[1-9][0-9]?%|100%)$"
ERRORS_PATTERN = r"^([0-9]|[1-9][0-9]*|[0-9]%|[1-9][0-9]%|100%)$"

DEFAULT_CONCURRENCY = "10%"
DEFAULT_ERRORS = "5%"
"""Where an association names neither: no change goes everywhere at once, and a failing one stops early."""

_VALUE = re.compile(r"(\d+)(%?)\Z")


def concurrency(text: str | None, targets: int) -> int:
    """How many nodes may be under way at once; at least one."""
    return max(1, _amount(text or DEFAULT_CONCURRENCY, targets))


def errors(text: str | None, targets: int) -> int:
    """How many nodes may fail before the rest is held back: one more stops it."""
    return _amount(text or DEFAULT_ERRORS, targets)


def _amount(text: str, targets: int) -> int:
    value, is_percentage = _read(text)
    return value * targets // 100 if is_percentage else value


@lru_cache(maxsize=1024)
def _read(text: str) -> tuple[int, bool]:
    found = _VALUE.match(text)
    if not found:
        raise ValueError(f"not a number or percentage: {text!r}")
    return int(found.group(1)), bool(found.group(2))
