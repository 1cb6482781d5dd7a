"""Allowances: how much of something one peer may do in a stretch of time. Pure: the caller brings the clock."""

from __future__ import annotations

from collections import OrderedDict


class Allowance:
    """A budget that refills steadily (a token bucket): `burst` at once, `rate` per second in the long run."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def spend(self, now: float, cost: float = 1.0) -> float:
        """Take `cost`, into debt if need be; the seconds after which the debt is paid (0.0 within the budget)."""
        self._refill(now)
        self._left -= cost
        return max(0.0, -self._left / self._rate)

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` if it is there and return 0.0; otherwise take nothing and return the seconds until it is."""
        self._refill(now)
        if self._left < cost:
            return (cost - self._left) / self._rate
        self._left -= cost
        return 0.0

    def _refill(self, now: float) -> None:
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)


class Allowances:
    """One allowance per key. At most `keys` are remembered: the one unused for longest is forgotten first."""

    def __init__(self, rate: float, burst: float, keys: int = 10_000) -> None:
        self._rate = rate
        self._burst = burst
        self._keys = keys
        self._known: OrderedDict[str, Allowance] = OrderedDict()

    def take(self, key: str, now: float, cost: float = 1.0) -> float:
        """As `Allowance.take`, from the allowance of `key`."""
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Allowance(self._rate, self._burst, now)
            if len(self._known) > self._keys:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found.take(now, cost)
