"""One execution that goes on, as its events in the store come to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.capabilities.changes import automation
from reconciler.capabilities.changes.automation import ChildEnded, State
from reconciler.core.effect import Wake
from reconciler.core.executions import EventRow
from reconciler.core.jsontext import json_of
from reconciler.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.capabilities.changes.automation import Event
    from reconciler.controller.automation.beginning import Beginning
    from reconciler.controller.automation.runbooks import Runbooks
    from reconciler.core.executions import ExecutionRow
    from reconciler.core.ports import Store
    from reconciler.documents.runbook import Runbook


@dataclass(slots=True)
class Going:
    """`recorded` counts its events; `last` is the instant of the newest, `wake` when it moves by itself (Unix ms).

    Without a runbook it cannot go on, and `problem` says why.
    """

    row: ExecutionRow
    runbook: Runbook | None
    state: State
    recorded: int = 0
    last: int = 0
    problem: str = ""

    @property
    def wake(self) -> int | None:
        """When it has to be looked at though nothing comes."""
        return next((effect.at for effect in automation.awaited(self.state) if isinstance(effect, Wake)), None)


def fresh(beginning: Beginning) -> Going:
    """Before its first event."""
    return Going(beginning.row, beginning.runbook, State())


def read_all(store: Store, runbooks: Runbooks) -> dict[str, Going]:
    """All that the store has open. What is not readable any more cannot go on, and keeps nobody else."""
    found = {}
    for row in store.open_executions():
        runbook = runbooks.of(row.source_digest)
        events = read_events(store, row.id)
        last = max((event.at for event in events), default=row.started_at)
        state = automation.replay(events)
        if isinstance(runbook, Problem):
            found[row.id] = Going(row, None, state, len(events), last, f"its document is not read any more: {runbook}")
        else:
            found[row.id] = Going(row, runbook, state, len(events), last)
    return found


def read_events(store: Store, execution: str) -> list[Event]:
    """What happened in an execution."""
    return [automation.from_json(json.loads(text)) for text in store.events(execution)]


def rows_of(execution: str, number: int, events: Iterable[Event]) -> list[EventRow]:
    """Events as the store keeps them, counted from `number`."""
    return [
        EventRow(execution, number + ahead, json_of(automation.to_json(event)).decode())
        for ahead, event in enumerate(events)
    ]


def end_of(row: ExecutionRow, state: State) -> ChildEnded:
    """What the execution that started this one, which is over, is told."""
    ended = state.ended
    assert ended is not None
    return ChildEnded(ended.at, row.id, ended.status, ended.outputs, ended.reason)
