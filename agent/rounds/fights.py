"""How fast what drifts is looked at and put right: at once, unless that brings nothing, or something changes it back.

A claim that was put right three times within a minute is fought over. It is then put right at intervals that double,
up to that of the association, until nobody has changed it back for one of them. What is touched again and again with
nothing new to tell of is looked at less and less, in the same way.

Pure: times are seconds on a clock that never steps.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Tuple

from agent.contract.canonical import instant
from agent.contract.record import NamedTuple
from agent.contract.wire import ClaimReport
from agent.rounds.outcome import RunResult

HEALS, WITHIN = 3, 60.0
"""As many heals within so many seconds make a fight; the first pause is as long."""
IDLE_LOOKS = 3
"""Looks in a row that may bring nothing before there are pauses between them."""
FIRST_PAUSE = 1.0
_CLAIMS_AT_MOST = 1024


class _Fight(NamedTuple):
    """`until` then it is left alone; `told` once that has been reported."""

    heals: int
    pause: float
    until: float
    said: str
    told: bool = False


class _Looks(NamedTuple):
    """Looks at one association that brought nothing, and the last one of all."""

    idle: int = 0
    last: float = 0.0


class Fights:
    """What is fought over, and what is looked at in vain. Nothing of it outlives the process."""

    def __init__(self) -> None:
        self._heals: Dict[Tuple[str, str], List[float]] = {}
        self._fights: Dict[Tuple[str, str], _Fight] = {}
        self._looks: Dict[str, _Looks] = {}

    def forget(self, held: Iterable[str]) -> None:
        """Keep what is known of these associations only."""
        kept = set(held)
        self._heals = {key: value for key, value in self._heals.items() if key[0] in kept}
        self._fights = {key: value for key, value in self._fights.items() if key[0] in kept}
        self._looks = {uid: value for uid, value in self._looks.items() if uid in kept}

    def begin(self, uid: str) -> None:
        """The association is new, or another: what was fought over before says nothing of it."""
        for kept in (self._heals, self._fights):
            for key in [key for key in kept if key[0] == uid]:
                del kept[key]

    def due(self, uid: str, claim: str, now: float, interval: float) -> float:
        """When a claim that was touched just now is to be looked at."""
        fight = self._fights.get((uid, claim))
        if fight is not None and fight.told:
            return max(now, fight.until)
        looks = self._looks.get(uid, _Looks())
        pause = _doubled(looks.idle - IDLE_LOOKS, interval)
        if now - looks.last > max(2 * pause, WITHIN):
            return now
        return max(now, looks.last + pause)

    def left_alone(self, uid: str, now: float) -> FrozenSet[str]:
        """The claims of an association that are not to be put right yet."""
        return frozenset(claim for (of, claim), fight in self._fights.items() if of == uid and fight.until > now)

    def next_heal(self, uid: str) -> Optional[float]:
        """When something that is left alone is to be put right; None where nothing is."""
        return min((fight.until for (of, _), fight in self._fights.items() if of == uid), default=None)

    def seen(self, uid: str, result: RunResult, now: float, wall: int, interval: float) -> RunResult:
        """Take in what a look came to; the same, with the fights in it named. `wall` is Unix milliseconds."""
        claims = [self._claim(uid, claim, now, wall, interval) for claim in result.claims]
        for key in [key for key, fight in self._fights.items() if key[0] == uid and fight.until <= now]:
            del self._fights[key]
            self._heals.pop(key, None)
        return result._replace(claims=claims)

    def looked(self, uid: str, now: float, *, news: bool, failed: bool) -> None:
        """A look has ended. One that failed is not repeated at once for what it did itself."""
        looks = self._looks.get(uid, _Looks())
        pause = _doubled(looks.idle - IDLE_LOOKS, WITHIN * 1000)
        idle = 0 if now - looks.last > max(2 * pause, WITHIN) else looks.idle
        if failed:
            idle = max(idle, IDLE_LOOKS)
        self._looks[uid] = _Looks(0 if news and not failed else idle + 1, now)

    def _claim(self, uid: str, claim: ClaimReport, now: float, wall: int, interval: float) -> ClaimReport:
        key, fight = (uid, claim.claim), self._fights.get((uid, claim.claim))
        if claim.outcome == "Changed":
            fight = self._healed(key, fight, now, wall, interval)
        elif fight is not None and claim.outcome == "Drifted":  # left alone, or the node may not change it now
            fight = fight._replace(told=True, until=fight.until if fight.until > now else now + fight.pause)
        if fight is None or fight.until <= now:
            return claim
        self._fights[key] = fight
        return claim if claim.reason else dataclasses.replace(claim, reason=fight.said)

    def _healed(
        self, key: Tuple[str, str], fight: Optional[_Fight], now: float, wall: int, interval: float
    ) -> Optional[_Fight]:
        if fight is None:
            recent = [at for at in self._heals.get(key, ()) if at > now - WITHIN] + [now]
            if len(self._heals) < _CLAIMS_AT_MOST or key in self._heals:
                self._heals[key] = recent
            if len(recent) < HEALS:
                return None
            heals, pause = len(recent), WITHIN
        else:
            heals, pause = fight.heals + 1, 2 * fight.pause
        pause = min(pause, interval)
        said = "Fight: something else changes it back; put right %d times, and again after %s" % (
            heals,
            instant(wall + int(pause * 1000)),
        )
        return _Fight(heals, pause, now + pause, said)


def _doubled(times: int, at_most: Any) -> float:
    return 0.0 if times < 0 else min(FIRST_PAUSE * 2.0 ** min(times, 30), float(at_most))
