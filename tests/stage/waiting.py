"""Waiting for a condition, with a deadline and a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
STEP = 0.05


class StageError(Exception):
    """Something on the stage did not come about; the text says what was waited for and what was seen last."""


def until(what: str, look: Callable[[], _T], timeout: float = 30.0, seen: Callable[[], object] = lambda: "") -> _T:
    """The first true answer of `look`. Raises `StageError` after `timeout` seconds, with what `seen` tells."""
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise StageError(f"waited {timeout:g} s for {what}; {seen()}".rstrip("; "))
        time.sleep(STEP)
