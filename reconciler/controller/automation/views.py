"""Executions as faces show them: JSON, from the events alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.contract.canonical import instant
from reconciler.capabilities.changes import automation
from reconciler.capabilities.changes.automation import AskApproval, ChildStarted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.capabilities.changes.automation import Event, State, StepExecution
    from reconciler.core.executions import ExecutionRow
    from reconciler.documents.runbook import Runbook


def listed(row: ExecutionRow) -> dict[str, Any]:
    """An execution in a list."""
    return {
        "execution": row.id,
        "document": row.document,
        "subject": row.subject,
        "status": row.status,
        "reason": row.reason,
        "mode": row.mode,
        "parent": row.parent,
        "targets": row.targets,
        "startedAt": instant(row.started_at),
        "finishedAt": _instant(row.finished_at),
        "finished": row.final,
    }


def whole(
    row: ExecutionRow, runbook: Runbook | None, events: Sequence[Event], children: Iterable[ExecutionRow]
) -> dict[str, Any]:
    """An execution with its timeline. Without its runbook only the steps that ran are known."""
    state = automation.replay(events)
    started = state.started
    assert started is not None
    status = {child.id: child.status for child in children}
    steps = automation.timeline(runbook, events) if runbook is not None else ()
    return {
        **listed(row),
        "assumeRole": started.assume_role,
        "parameters": dict(started.parameters),
        "variables": dict(state.variables),
        "outputs": dict(state.ended.outputs) if state.ended else {},
        "waitsFor": waits_for(state),
        "steps": [_step(step) for step in steps if not started.rate],
        "children": [
            {"execution": event.execution, "target": event.target, "status": status.get(event.execution, "Pending")}
            for event in events
            if isinstance(event, ChildStarted)
        ],
    }


def waits_for(state: State) -> str:
    """Whom the execution waits for, in words; empty where it waits for no person."""
    if state.ended or state.started is None:
        return ""
    for effect in automation.awaited(state):
        if isinstance(effect, AskApproval):
            who = f"{effect.required} of {', '.join(effect.approvers)}"
            return f"approval by {who}" + (f": {effect.message}" if effect.message else "")
    if state.running and state.running.begun.action == "aws:pause":
        return f"somebody to resume `{state.running.begun.step}`"
    return f"somebody to let `{state.next}` begin" if state.held and not state.running else ""


def _step(step: StepExecution) -> dict[str, Any]:
    return {
        "step": step.step,
        "action": step.action,
        "status": step.status,
        "visit": step.visit,
        "attempts": step.attempts,
        "startedAt": _instant(step.begun),
        "finishedAt": _instant(step.ended),
        "milliseconds": step.duration,
        "inputs": dict(step.inputs),
        "outputs": dict(step.outputs),
        "reason": step.reason,
        "why": step.why,
        "next": step.next,
        "parent": step.parent,
        "iteration": step.iteration,
        "value": step.value,
        "notes": [{"at": instant(note.at), "text": note.text} for note in step.notes],
    }


def _instant(at: int | None) -> str | None:
    return instant(at) if at else None
