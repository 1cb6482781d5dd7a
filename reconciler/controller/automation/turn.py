"""A turn: what several executions add in one transaction, and what is to be done once it is kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical
from reconciler.capabilities.changes import automation
from reconciler.capabilities.changes.automation import Advance, Answered, AskApproval, ChildEnded
from reconciler.capabilities.changes.automation.events import Ended
from reconciler.controller.automation.going import Going, rows_of
from reconciler.core.records import AuditRow, Changes, EffectRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.capabilities.changes.automation import Effect, Event, State
    from reconciler.core.executions import EventRow, ExecutionRow

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """`after` is how executions stand once it is kept; `unfinished` have more to decide at once."""

    at: int
    rows: list[ExecutionRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    notices: list[EffectRow] = field(default_factory=list)
    audit: list[AuditRow] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    after: dict[str, Going] = field(default_factory=dict)
    effects: list[tuple[Going, Effect]] = field(default_factory=list)
    unfinished: set[str] = field(default_factory=set)

    def move(self, before: Going, events: Iterable[Event]) -> None:
        """Take what came for one execution, and decide. One that nobody can judge ends, and stops no other."""
        listed = list(events)
        at = max([self.at, before.last, *(event.at for event in listed)])
        state, said, effects, more = _advance(before, at, listed)
        row = replace(before.row, status=state.status)
        if state.ended:
            row = replace(row, reason=state.ended.reason, finished_at=state.ended.at)
            self.audit.append(AuditRow(at, row.subject, "automation", row.document, row.status, row.id, row.reason))
        if row != before.row or not before.recorded:
            self.rows.append(row)
        self.events += rows_of(row.id, before.recorded, said)
        self.notices += [_notice(effect, row, at) for effect in effects if isinstance(effect, AskApproval)]
        after = replace(before, row=row, state=state, recorded=before.recorded + len(said), last=at)
        self.after[row.id] = after
        self.effects += [(after, effect) for effect in effects]
        if more:
            self.unfinished.add(row.id)

    @property
    def changes(self) -> Changes:
        """The transaction."""
        return Changes(
            at=self.at,
            executions=tuple(self.rows),
            events=tuple(self.events),
            effects=tuple(self.notices),
            audit=tuple(self.audit),
            bodies=self.bodies,
            settings=self.settings,
        )


def _advance(before: Going, at: int, events: list[Event]) -> Advance:
    if before.runbook is None:
        return _broken(before.state, at, before.problem)
    try:
        return automation.advance(before.runbook, before.state, at, *_waited_for(before.state, events))
    except Exception as error:
        log.exception("execution %s of %s", before.row.id, before.row.document)
        return _broken(before.state, at, f"Defect: {type(error).__name__}: {error}")


def _broken(state: State, at: int, reason: str) -> Advance:
    ended = Ended(at, "Failed", reason)
    return Advance(automation.evolve(state, ended), (ended,), ())


def _waited_for(state: State, events: list[Event]) -> list[Event]:
    """Without the answers that nobody waits for any more: they would say nothing."""
    found = []
    for event in events:
        after = automation.evolve(state, event)
        if after is state and isinstance(event, (Answered, ChildEnded)):
            continue
        found.append(event)
        state = after
    return found


def _notice(effect: AskApproval, row: ExecutionRow, at: int) -> EffectRow:
    """What the approvers are told, by the outbox."""
    who = f"{effect.required} of {', '.join(effect.approvers)}"
    lines = [effect.message, f"opsctl automation approve {row.id}", f"opsctl automation reject {row.id}"]
    payload = {
        "subject": f"{row.document} waits at {effect.step} for approval by {who}",
        "text": "\n".join([*filter(None, lines), *([f"for {effect.notification}"] if effect.notification else [])]),
        "severity": "info",
    }
    return EffectRow(effect.id, "Notify", canonical(payload).decode(), row.id, row.subject, at)
