"""Pauses before what failed is tried again: longer from failure to failure, up to the last."""

from __future__ import annotations

from collections.abc import Sequence


def pause(pauses: Sequence[float], failures: int) -> float:
    """Seconds to wait after a failure that came after so many others in a row; the last of `pauses` repeats."""
    return pauses[min(failures, len(pauses) - 1)]
