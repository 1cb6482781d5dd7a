"""When each association is due: at once when it is new, then at the interval, and at the instants of its schedule.

Pure: times come in, decisions go out. Intervals are counted on the clock that never steps, schedules on the wall's.
"""

from __future__ import annotations

import hashlib
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from agent.contract.canonical import instant, milliseconds
from agent.contract.record import NamedTuple
from agent.contract.schedule import BadSchedule, latest, next_after
from agent.contract.wire import Assignment, Interval
from agent.state.journal import RunInstant
from agent.state.permits import Answer

SPLAY_FROM = 60
"""Seconds of interval from which looks are spread; below, everything is looked at together."""
HURRIED_OVER = 300
"""Seconds over which nodes spread their looks when all of them may act again at the same instant."""
ROUNDING = 1e-3
"""Seconds: a look at its own place is not followed by one at the same."""
STEPPED_BACK = 60_000
"""Milliseconds that a run instant may lie ahead of the clock before the clock is taken to have been wrong."""


class _Entry(NamedTuple):
    """An association: what of it is held, when it was looked at last, when it is due. Times are seconds since boot.

    `touched` is when it is due because something of it was touched.
    """

    version: Tuple[int, str, str]
    due: float
    looked: Optional[float] = None
    touched: Optional[float] = None

    @property
    def next(self) -> float:
        return self.due if self.touched is None else min(self.due, self.touched)


class Agenda:
    """When to look at what."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._entries: Dict[str, _Entry] = {}
        self._interval = 1

    def adopt(self, assignments: Mapping[str, Assignment], context_digest: str, interval: int, now: float) -> None:
        """Take over a set: what is new in it, or differs, is due at once."""
        known, self._entries = self._entries, {}
        for uid, item in assignments.items():
            version = (item.generation, item.body_digest, context_digest)
            entry = known.get(uid)
            if entry is None or entry.version != version:
                self._entries[uid] = _Entry(version, now)
            elif interval != self._interval and entry.looked is not None:
                self._entries[uid] = entry._replace(due=self._after(uid, entry.looked, interval))
            else:
                self._entries[uid] = entry
        self._interval = interval

    def due(self, now: float) -> List[str]:
        """What is to be looked at now: what is new first, otherwise in the order of their names."""
        due = [uid for uid, entry in self._entries.items() if entry.next <= now]
        return sorted(due, key=lambda uid: (self._entries[uid].looked is not None, uid))

    def touch(self, uid: str, at: float) -> None:
        """Something of it was touched: it is due at `at` at the latest."""
        entry = self._entries.get(uid)
        if entry is not None:
            self._entries[uid] = entry._replace(touched=at if entry.touched is None else min(at, entry.touched))

    def only_touched(self, uid: str, now: float) -> bool:
        """Whether it is due for having been touched, and for nothing else."""
        entry = self._entries.get(uid)
        return entry is not None and entry.touched is not None and entry.touched <= now < entry.due

    def looked(self, uid: str, now: float) -> None:
        """It has just been looked at."""
        entry = self._entries.get(uid)
        if entry is not None:
            after = self._after(uid, now, self._interval)
            self._entries[uid] = entry._replace(looked=now, due=after, touched=None)

    def hurry(self, now: float) -> None:
        """Look at everything again soon: what was in the way is gone."""
        for uid, entry in self._entries.items():
            soon = now + splay(self._node_id, uid, min(self._interval, HURRIED_OVER))
            self._entries[uid] = entry._replace(due=min(entry.due, soon))

    def next_look(self) -> Optional[float]:
        return min((entry.next for entry in self._entries.values()), default=None)

    def all_looked_since(self) -> Optional[float]:
        """The time since which everything has been looked at; None while something has not been."""
        looked = [entry.looked for entry in self._entries.values()]
        seen = [at for at in looked if at is not None]
        return min(seen) if len(seen) == len(looked) and seen else None

    def _after(self, uid: str, last: float, interval: int) -> float:
        return next_look(self._node_id, uid, interval, last)


def next_look(node_id: str, uid: str, interval: int, last: float) -> float:
    """When to look again: on the association's own place in the interval, so that a fleet does not look in step."""
    offset = splay(node_id, uid, interval)
    if not offset:
        return last + interval
    after = ((last - offset) // interval + 1) * interval + offset
    return after if after - last > ROUNDING else after + interval


def splay(node_id: str, uid: str, interval: int) -> float:
    """Seconds into the interval at which this node looks at this association; 0 for short intervals."""
    return 0.0 if interval < SPLAY_FROM else interval * place(node_id, uid)


def place(node_id: str, uid: str) -> float:
    """Where in any stretch of time this node has its turn at this association, from 0 to before 1."""
    drawn = int.from_bytes(hashlib.sha256(("%s %s" % (node_id, uid)).encode()).digest()[:8], "big")
    return (drawn >> 11) / 2**53


class Turn(NamedTuple):
    """What a look is to do about the runs of an association.

    `take` is the run that its scripts are at from now on; `ask` the one that has to be permitted before it is begun;
    `over` why the one that was due is not made.
    """

    take: Optional[RunInstant] = None
    ask: Optional[RunInstant] = None
    over: str = ""


NO_TURN = Turn()


def turn(
    item: Assignment,
    expression: Optional[str],
    taken: Optional[RunInstant],
    answer: Callable[[int, str], Answer],
    now: int,
    place: int = 0,
) -> Turn:
    """The turn of an association that may be changed at `now` (Unix milliseconds).

    `place` is the node's in the splay: the milliseconds after an instant of the schedule at which it is its turn.
    `answer` says what is known of the permit for a run (generation, run instant). Raises BadSchedule.
    """
    counted = item.permit != "none"
    if expression is None and not counted:
        return NO_TURN
    first = taken is None or taken.generation != item.generation
    if taken is None or taken.generation != item.generation:
        due: Optional[RunInstant] = first_instant(item.generation, now)
    else:
        due = None if expression is None else due_instant(expression, taken, now - place)
    if due is None:
        return NO_TURN
    if not counted or (taken is not None and not first and due.text == taken.text):
        return Turn(take=due)
    known = answer(due.generation, due.text)
    if known.granted:
        return Turn(take=due)
    if known.over and taken is not None and not first:
        return Turn(take=due._replace(text=taken.text), over="not run at %s: %s" % (due.text, known.reason))
    return Turn(ask=due)


def first_instant(generation: int, now: int) -> RunInstant:
    """The one run that every generation has."""
    return RunInstant(generation, "", now)


def due_instant(expression: str, taken: RunInstant, now: int) -> Optional[RunInstant]:
    """The run that the schedule asks for since the one taken, None for none yet. Times are Unix milliseconds.

    Instants that passed while the node was away are made up for by the last of them. Raises BadSchedule.
    """
    if taken.at > now + STEPPED_BACK:
        return taken._replace(at=now)  # the clock was ahead when it was taken: count from now, run nothing
    due = latest(expression, taken.at, now)
    return None if due is None else RunInstant(taken.generation, instant(due), now)


def next_instant(expression: Optional[str], taken: Optional[RunInstant]) -> Optional[int]:
    """When the schedule asks for a run next, in Unix milliseconds; None for never."""
    if not expression or taken is None:
        return None
    try:
        return next_after(expression, taken.at)
    except BadSchedule:
        return None


def allowed(intervals: Iterable[Interval], now: int) -> bool:
    """Whether changes are allowed at `now` (Unix milliseconds). No interval at all allows nothing."""
    for interval in intervals:
        try:
            begun = interval.not_before is None or milliseconds(interval.not_before) <= now
            over = interval.not_after is not None and milliseconds(interval.not_after) <= now
        except ValueError:
            continue
        if begun and not over:
            return True
    return False
