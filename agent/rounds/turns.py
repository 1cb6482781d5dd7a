"""Which run of an association's scripts has its turn on this node: between schedules, permits and the journal."""

from __future__ import annotations

from functools import partial
from typing import Callable, Optional, Tuple

from agent import log
from agent.contract.canonical import instant
from agent.contract.schedule import BadSchedule
from agent.contract.wire import Assignment
from agent.rounds import agenda
from agent.rounds.agenda import NO_TURN, Turn
from agent.state.journal import RunInstant
from agent.state.node import Node


class Turns:
    """The runs of all associations of one node. `wake` says that a permit is to be asked for."""

    def __init__(self, node: Node, wake: Callable[[], None]) -> None:
        self._node, self._wake = node, wake

    def next(self, uid: str, item: Assignment, schedule: Optional[str]) -> Turn:
        """What the runs have to do now, where the node may act. A permit that is lacking is asked for."""
        permits, clock = self._node.leave.permits, self._node.clock
        answer = partial(permits.answer, uid, now=clock.elapsed())
        taken = self._node.journal.instant(uid)
        try:
            turn = agenda.turn(item, schedule, taken, answer, clock.now(), self._place(uid, item))
        except BadSchedule as error:
            log.log(log.WARNING, "%s: %s", uid, error)
            return NO_TURN
        if turn.ask is not None and permits.want(uid, turn.ask.generation, turn.ask.text):
            self._wake()
        return turn

    def now(self, item: Assignment) -> Turn:
        """A run that somebody wants made at this instant."""
        at = self._node.clock.now()
        return Turn(take=RunInstant(item.generation, instant(at), at))

    def take(self, uid: str, item: Assignment, turn: Turn) -> Tuple[str, bool]:
        """The run that the scripts are at from now on, and whether their schedule has just asked for it.

        It is on disk before it is used: a crash meanwhile makes no second run of it. Raises OSError.
        """
        journal, permits = self._node.journal, self._node.leave.permits
        before = self._taken(uid, item)
        text = before.text if before is not None else ""
        if turn.take is None:
            return text, False
        if turn.over:
            permits.give_up(uid, item.generation, turn.take.text, turn.over)
        elif item.permit != "none":
            permits.begin(uid, item.generation, turn.take.text)
        journal.take_instant(uid, turn.take)
        return turn.take.text, before is not None and (turn.take.text != text or bool(turn.over))

    def current(self, uid: str, item: Assignment) -> str:
        """The instant of the run that the scripts are at; empty for the one run that every generation has."""
        taken = self._taken(uid, item)
        return taken.text if taken is not None else ""

    def next_instant(self, uid: str, item: Assignment, schedule: Optional[str]) -> Optional[int]:
        """When the schedule asks for a run here next, in Unix milliseconds; None for never."""
        at = agenda.next_instant(schedule, self._node.journal.instant(uid))
        return None if at is None else at + self._place(uid, item)

    def _taken(self, uid: str, item: Assignment) -> Optional[RunInstant]:
        taken = self._node.journal.instant(uid)
        return taken if taken is not None and taken.generation == item.generation else None

    def _place(self, uid: str, item: Assignment) -> int:
        """Milliseconds after an instant of the schedule at which it is this node's turn."""
        return int(agenda.place(self._node.identity.node_id, uid) * item.splay * 1000)
