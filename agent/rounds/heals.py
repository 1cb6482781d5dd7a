"""How often each association may be put right: a budget per hour, so that nothing is fought over without end.

In memory only: a start begins with a full budget.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, Optional

HOUR = 3600.0


class Heals:
    """Counts the looks that put something right. Times are seconds since boot."""

    def __init__(self) -> None:
        self._at: Dict[str, Deque[float]] = {}

    def healed(self, uid: str, now: float) -> None:
        """Something of it was put right."""
        self._recent(uid, now).append(now)

    def objection(self, uid: str, budget: Optional[int], now: float) -> str:
        """Why the association is not put right now; empty where it may be. `budget` is per hour, None without end."""
        if budget is None or len(self._recent(uid, now)) < budget:
            return ""
        return "the heal budget of %d an hour is used up: the node only monitors" % budget

    def _recent(self, uid: str, now: float) -> Deque[float]:
        at = self._at.setdefault(uid, deque())
        while at and at[0] <= now - HOUR:
            at.popleft()
        return at
