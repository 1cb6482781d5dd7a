"""The steps of an execution for people: what went in and came out, how long it took, and why it went on as it did."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from reconciler.capabilities.changes.automation.events import (
    AttemptEnded,
    IterationStarted,
    PropertyDiffered,
    Signalled,
    StepEnded,
    StepStarted,
)
from reconciler.capabilities.changes.automation.state import WAITING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.capabilities.changes.automation.events import Event, Status
    from reconciler.documents.runbook.runbook import Runbook


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that happened within a step, in words."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class StepExecution:
    """One run of a step. Instants are Unix milliseconds, None for what has not happened.

    `parent` is the visit of the loop that it ran in, 0 for none, with the iteration and its value.
    """

    step: str
    action: str
    status: Status = "Pending"
    visit: int = 0
    attempts: int = 0
    begun: int | None = None
    ended: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    why: str = ""
    next: str | None = None
    parent: int = 0
    iteration: int = 0
    value: Any = None
    notes: tuple[Note, ...] = ()

    @property
    def duration(self) -> int | None:
        """Milliseconds from the first attempt's beginning to the end."""
        return None if self.begun is None or self.ended is None else self.ended - self.begun


def timeline(runbook: Runbook, events: Iterable[Event]) -> tuple[StepExecution, ...]:
    """Every run of a step in the order they began, then the steps that have not run, in the order of the document."""
    runs: dict[int, StepExecution] = {}
    loops: list[IterationStarted] = []
    for event in events:
        if isinstance(event, StepStarted):
            runs[event.visit] = _begun(runs.get(event.visit), event, loops)
        elif isinstance(event, IterationStarted):
            loops = [*(loop for loop in loops if loop.visit != event.visit), event]
            runs[event.visit] = _noted(runs[event.visit], event.at, f"iteration {event.iteration} begins")
        elif isinstance(event, AttemptEnded):
            text = f"attempt {event.attempt} ended as {event.status}: {event.reason}"
            runs[event.visit] = _noted(runs[event.visit], event.at, text)
        elif isinstance(event, PropertyDiffered):
            runs[event.visit] = _noted(runs[event.visit], event.at, f"the property was `{event.value}`")
        elif isinstance(event, StepEnded):
            loops = [loop for loop in loops if loop.visit != event.visit]
            runs[event.visit] = _ended(runs[event.visit], event)
        elif isinstance(event, Signalled) and runs:
            comment = f": {event.comment}" if event.comment else ""
            latest = max(runs)
            runs[latest] = _noted(runs[latest], event.at, f"{event.signal} by {event.by}{comment}")
    ran = {run.step for run in runs.values()}
    pending = (StepExecution(step.name, step.action) for name, step in runbook.by_name.items() if name not in ran)
    return (*runs.values(), *pending)


def _begun(known: StepExecution | None, event: StepStarted, loops: list[IterationStarted]) -> StepExecution:
    status: Status = "Waiting" if event.action in WAITING else "InProgress"
    if known:
        return replace(known, status=status, attempts=event.attempt, inputs=event.inputs)
    inner = loops[-1] if loops else None
    return StepExecution(
        event.step,
        event.action,
        status,
        event.visit,
        event.attempt,
        event.at,
        inputs=event.inputs,
        parent=inner.visit if inner else 0,
        iteration=inner.iteration if inner else 0,
        value=inner.value if inner else None,
    )


def _ended(known: StepExecution, event: StepEnded) -> StepExecution:
    return replace(
        known,
        status=event.status,
        ended=event.at,
        outputs=event.outputs,
        reason=event.reason,
        why=event.why,
        next=event.next,
    )


def _noted(known: StepExecution, at: int, text: str) -> StepExecution:
    return replace(known, notes=(*known.notes, Note(at, text)))
