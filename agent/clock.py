"""The agent's two clocks: what time it is, and how much has passed."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Time as the agent asks for it."""

    def now(self) -> int:
        """Unix milliseconds; may step."""

    def elapsed(self) -> float:
        """Seconds since boot, suspended time included where the kernel counts it; never steps back."""


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def elapsed(self) -> float:
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()
