"""Associations that somebody wants run now: asked for by jobs, each on its thread, and taken up by the rounds."""

from __future__ import annotations

import threading
from typing import Callable, FrozenSet, List, Optional, Sequence, Set

from agent.contract.wire import Assignment
from agent.state.assignments import Assignments
from agent.state.journal import RunInstant
from agent.steps.step import StepFailed

_KIND = "Association/"


class Refreshes:
    """`taken` gives the run that an association is at; `wake` tells the rounds that there is something to do."""

    def __init__(
        self, assignments: Assignments, taken: Callable[[str], Optional[RunInstant]], wake: Callable[[], None]
    ) -> None:
        self._assignments, self._taken, self._wake = assignments, taken, wake
        self._mutex = threading.Lock()
        self._wanted: Set[str] = set()

    def ask(self, names: Sequence[str]) -> List[str]:
        """Have these run, all where none is named; what becomes of each, as people read it.

        Raises `StepFailed` for one that the node has not.
        """
        desired = self._assignments.desired()
        given = dict(desired.assignments) if desired is not None else {}
        wanted = [_uid(name) for name in names] or sorted(given)
        unknown = [uid for uid in wanted if uid not in given]
        if unknown:
            there = ", ".join(uid[len(_KIND) :] for uid in sorted(given)) or "none at all"
            raise StepFailed("this node has no association %s; it has %s" % (unknown[0][len(_KIND) :], there))
        with self._mutex:
            self._wanted.update(wanted)
        self._wake()
        return [self._told(uid, given[uid]) for uid in wanted] or ["this node has no associations"]

    def runs_again(self, uid: str, item: Assignment) -> bool:
        """Whether a refresh runs an association's scripts: whoever asked for it stands for the permit of that run, but
        not for that of a generation, which comes in waves.
        """
        taken = self._taken(uid)
        return item.permit == "none" or (taken is not None and taken.generation == item.generation)

    def _told(self, uid: str, item: Assignment) -> str:
        what = "its scripts are run" if self.runs_again(uid, item) else "its first run here waits for a permit"
        return "%s: looked at now, and %s" % (uid[len(_KIND) :], what)

    def pending(self) -> bool:
        """Whether any was asked for and not taken up."""
        return bool(self._wanted)

    def take(self) -> FrozenSet[str]:
        """Those that were asked for since the last time."""
        with self._mutex:
            found = frozenset(self._wanted)
            self._wanted.clear()
        return found


def _uid(name: str) -> str:
    return name if name.startswith(_KIND) else _KIND + name
