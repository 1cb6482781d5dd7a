"""Between the watch and the rounds: what of the held set is watched, and when what was touched is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, FrozenSet, Mapping, Optional

from agent.clock import Clock
from agent.contract.codec import Malformed
from agent.contract.wire import Body
from agent.host.port import Host
from agent.rounds.claimants import inputs_of
from agent.rounds.fights import Fights
from agent.rounds.outcome import RunResult

if TYPE_CHECKING:  # what only serves is not imported by a pass
    from agent.steps.watched import Watched
    from agent.watch.watch import Thing, Watch


class Drift:
    """Without a watch, nothing is ever touched; fights are recognised all the same."""

    def __init__(self, host: Host, clock: Clock, watch: Optional[Watch]) -> None:
        self._host, self._clock, self._watch = host, clock, watch
        self._fights = Fights()
        self._interval = 1

    def over(self, bodies: Mapping[str, Body], interval: int) -> None:
        """These are held from now on, and watched before they are looked at."""
        self._interval = interval
        self._fights.forget(bodies)
        if self._watch is not None:
            self._watch.over(self._things(bodies))

    def touched(self) -> Dict[str, float]:
        """When each association is to be looked at of which something was touched since the last call."""
        if self._watch is None:
            return {}
        now = self._clock.elapsed()
        found: Dict[str, float] = {}
        for uid, claim in self._watch.touched():
            at = self._fights.due(uid, claim, now, self._interval)
            found[uid] = min(at, found.get(uid, at))
        return found

    def begin(self, uid: str) -> None:
        """It is new, or another."""
        self._fights.begin(uid)

    def left_alone(self, uid: str) -> FrozenSet[str]:
        """The claims of an association that are not to be put right yet."""
        return self._fights.left_alone(uid, self._clock.elapsed())

    def fought_over(self, uid: str) -> bool:
        """Whether something of the association is changed back again and again."""
        return self._fights.next_heal(uid) is not None

    def seen(self, uid: str, result: RunResult, healing: bool) -> RunResult:
        """What a look came to, with the fights in it named. `healing` says that what changed had been right before."""
        if not healing:
            return result
        clock = self._clock
        return self._fights.seen(uid, result, clock.elapsed(), clock.now(), self._interval)

    def looked(self, uid: str, *, news: bool, failed: bool) -> Optional[float]:
        """A look has ended; when the next has to be, because of a fight."""
        self._fights.looked(uid, self._clock.elapsed(), news=news, failed=failed)
        return self._fights.next_heal(uid)

    def _things(self, bodies: Mapping[str, Body]) -> Dict[Thing, Watched]:
        from agent.steps.watched import watched
        from agent.watch.watch import Thing

        found: Dict[Thing, Watched] = {}
        for uid, body in bodies.items():
            for step in body.steps:
                try:
                    told = watched(self._host, step.action, inputs_of(step))
                except (Malformed, KeyError):
                    continue
                for claim, by in told.items():
                    found[Thing(uid, claim)] = by
        return found
