"""Executions that go on: as the store has them, moved on by what comes from outside and by time.

The store is written first: the events of all executions that move together, and what they change, in one transaction.
Where that was not kept, all of it is read from the store again before anything else is decided, and what executions
wait for is given out anew, under the same ids.
"""

from __future__ import annotations

import heapq
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from reconciler.capabilities.changes import automation
from reconciler.capabilities.changes.automation import (
    Abandon,
    Answered,
    Cancelled,
    ChildEnded,
    Perform,
    StartChild,
    StopChild,
)
from reconciler.controller.automation.beginning import of_target
from reconciler.controller.automation.going import end_of, fresh, read_all, read_events
from reconciler.controller.automation.turn import Turn
from reconciler.controller.automation.work import Work
from reconciler.core.access import acting
from reconciler.core.problem import Problem, Refused
from reconciler.core.records import AuditRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.capabilities.changes.automation import Effect, Event
    from reconciler.controller.automation.beginning import Beginning, Beginnings
    from reconciler.controller.automation.errands import Errands
    from reconciler.controller.automation.going import Going
    from reconciler.controller.automation.performing import Performing
    from reconciler.controller.automation.runbooks import Runbooks
    from reconciler.controller.keeper import Keeper
    from reconciler.core.executions import ExecutionRow
    from reconciler.core.ports import Clock, Store

MOST = 200
"""Executions that move in one turn."""
TURNS_SECONDS = 0.2
"""After which the loop has others' turn before the next one: nobody's report waits for a thousand executions."""


class AutomationDesk:
    """Runs on the loop."""

    def __init__(
        self,
        keeper: Keeper,
        store: Store,
        clock: Clock,
        errands: Errands,
        performing: Performing,
        beginnings: Beginnings,
        runbooks: Runbooks,
    ) -> None:
        self._runbooks = runbooks
        self._keeper, self._store, self._clock = keeper, store, clock
        self._errands, self._performing, self._beginnings = errands, performing, beginnings
        self._going: dict[str, Going] | None = None
        self._incoming: dict[str, list[Event]] = {}
        self._fresh: dict[str, Beginning] = {}
        self._wakes: list[tuple[int, str]] = []
        performing.on_answer = self.take

    def begin(self, beginning: Beginning, settings: Mapping[str, str] | None = None) -> ExecutionRow:
        """Begin an execution, and set these settings; durable on return. One that is there already is left as it is."""
        row = beginning.row
        known = self._store.execution(row.id)
        if known is None:
            audit = AuditRow(row.started_at, row.subject, "start", row.document, "started", row.id, row.targets)
            with self._whole():
                self._turn({}, (beginning,), (audit,), settings)
        return known or row

    def say(self, execution: str, event: Event, audit: AuditRow) -> None:
        """What somebody says to an execution; durable on return."""
        with self._whole():
            self._turn({execution: [event]}, (), (audit,))

    def take(self, execution: str, event: Event) -> None:
        """What came from outside; it is recorded when the loop settles."""
        self._incoming.setdefault(execution, []).append(event)

    def going(self, execution: str) -> Going:
        """One that is not over. Raises `Refused` for any other."""
        found = self._all().get(execution)
        if found is None:
            known = self._store.execution(execution)
            why = f"it is over: {known.status}" if known is not None else "there is none of this id"
            raise Refused(f"the execution {execution:.40} takes nothing: {why}", "automation")
        return found

    def goes_on(self, subject: str) -> bool:
        """Whether an execution that this one started, by itself, is not over."""
        return any(going.row.subject == subject and not going.row.parent for going in self._all().values())

    def waits_for(self, execution: str) -> str:
        """What work of an execution waits for that cannot be done yet, in words. On any thread."""
        return self._performing.waits_for(execution)

    def settle(self) -> None:
        """Move on all that can move."""
        with self._whole():
            self._settle()

    def _settle(self) -> None:
        going, now = self._all(), self._clock.now_ms()
        self._performing.settle()
        while self._wakes and self._wakes[0][0] <= now:
            _, execution = heapq.heappop(self._wakes)
            if execution in going:
                self._incoming.setdefault(execution, [])
        begun = self._clock.elapsed()
        while self._clock.elapsed() - begun < TURNS_SECONDS:
            self._errands.settle()
            if not self._incoming and not self._fresh:
                return
            self._turn(dict(islice(self._incoming.items(), MOST)), tuple(islice(self._fresh.values(), MOST)))
        self._errands.hurry()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """What was not done to its end is begun anew from what the store has."""
        try:
            yield
        except BaseException:
            self._going = None
            raise

    # One transaction

    def _turn(
        self,
        incoming: Mapping[str, Sequence[Event]],
        beginnings: Iterable[Beginning] = (),
        audit: Iterable[AuditRow] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        going = self._all()
        turn = Turn(self._clock.now_ms(), audit=list(audit), settings=dict(settings or {}))
        for beginning in beginnings:
            turn.bodies[beginning.row.source_digest] = beginning.source
            turn.move(fresh(beginning), (beginning.started,))
        moving = {execution: list(events) for execution, events in incoming.items()}
        for execution, events in moving.items():
            if execution in going:
                turn.move(going[execution], events)
        if turn.rows or turn.events or turn.audit:
            self._keeper.commit(turn.changes)
        self._kept(turn, moving)

    def _kept(self, turn: Turn, moved: Mapping[str, Sequence[Event]]) -> None:
        """This is how it stands now, and what follows is done."""
        for execution, events in moved.items():
            left = [one for one in self._incoming.pop(execution, ()) if not any(one is event for event in events)]
            if left:
                self._incoming[execution] = left
        for execution in turn.unfinished:
            self._incoming.setdefault(execution, [])
        going = self._all()
        for execution, after in turn.after.items():
            self._fresh.pop(execution, None)
            if after.row.final:
                going.pop(execution, None)
                if after.row.parent:
                    self.take(after.row.parent, end_of(after.row, after.state))
            else:
                going[execution] = after
                self._wake(after)
        for after, effect in turn.effects:
            self._perform(after, effect)

    def _wake(self, going: Going) -> None:
        wake = going.wake
        if wake is not None:
            heapq.heappush(self._wakes, (wake, going.row.id))

    # What executions ask for

    def _perform(self, going: Going, effect: Effect) -> None:
        if isinstance(effect, Perform):
            if any(isinstance(event, Answered) and event.work == effect.id for event in self._incoming_of(effect)):
                return  # it was done, and that could not be kept yet
            self._performing.give(_work(going, effect))
        elif isinstance(effect, Abandon):
            self._performing.abandon(effect.id)
        elif isinstance(effect, StartChild):
            self._start(going, effect)
        elif isinstance(effect, StopChild):
            self._stop(going.row, effect.execution)

    def _incoming_of(self, effect: Perform) -> Sequence[Event]:
        return self._incoming.get(effect.execution, ())

    def _start(self, going: Going, effect: StartChild) -> None:
        """Start a child, or tell of the end of one that was started before a restart."""
        if effect.execution in self._fresh or self._told_of_end(effect.parent, effect.execution):
            return
        started, depth = going.state.started, going.row.depth + 1
        assert started is not None
        at = max(self._clock.now_ms(), going.last)
        if started.rate and going.runbook is not None:
            source = self._runbooks.source(going.row.source_digest)
            make = partial(of_target, effect, going.runbook, source, started, at, depth)
            self._take_beginning(effect, _made_of(make))
        else:
            child = partial(self._beginnings.child, effect, acting(effect.subject, started.assume_role), at, depth)
            self._errands.run(effect.execution, child, partial(self._take_beginning, effect))

    def _take_beginning(self, effect: StartChild, found: Beginning | Problem) -> None:
        if isinstance(found, Problem):
            now = self._clock.now_ms()
            self.take(effect.parent, ChildEnded(now, effect.execution, "Failed", reason=str(found)))
        else:
            self._fresh[effect.execution] = found

    def _stop(self, parent: ExecutionRow, execution: str) -> None:
        """End a child, if it goes on; one that never began is over."""
        now = self._clock.now_ms()
        child = self._all().get(execution)
        if child is not None:
            if child.state.cancelled is None:
                self.take(execution, Cancelled(now, f"execution {parent.id}"))
        elif not self._told_of_end(parent.id, execution):
            self._errands.drop(execution)
            self._fresh.pop(execution, None)
            self.take(parent.id, ChildEnded(now, execution, "Cancelled", reason="it was stopped before it began"))

    def _told_of_end(self, parent: str, execution: str) -> bool:
        """Whether there is such an execution; if it is over, the one that started it is told."""
        known = self._store.execution(execution)
        if known is not None and known.final:
            self.take(parent, end_of(known, automation.replay(read_events(self._store, execution))))
        return known is not None

    # What the store has

    def _all(self) -> dict[str, Going]:
        """All that goes on; where that is not known it is read anew, and what is waited for is given out again."""
        if self._going is None:
            self._going = going = read_all(self._store, self._runbooks)
            self._wakes, self._fresh = [], {}
            for one in list(going.values()):
                self._wake(one)
                self._incoming.setdefault(one.row.id, [])
                for effect in automation.awaited(one.state) if one.runbook is not None else ():
                    self._perform(one, effect)
        return self._going


def _work(going: Going, effect: Perform) -> Work:
    started = going.state.started
    assert going.state.running is not None
    assert started is not None
    return Work(
        effect.id,
        effect.execution,
        effect.step,
        effect.action,
        effect.inputs,
        going.state.running.begun.at,
        effect.deadline,
        acting(going.row.subject, started.assume_role),
        going.row.document,
        going.row.source_digest,
    )


def _made_of(make: partial[Beginning]) -> Beginning | Problem:
    try:
        return make()
    except Problem as problem:
        return problem
