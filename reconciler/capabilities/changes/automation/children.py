"""Executions for many targets: one child each, so many at once, stopped by so many errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.capabilities.changes.automation.effects import child_id
from reconciler.capabilities.changes.automation.events import ChildStarted, Ended
from reconciler.capabilities.changes.automation.state import PRECEDENCE

if TYPE_CHECKING:
    from reconciler.capabilities.changes.automation.events import Decided, Status
    from reconciler.capabilities.changes.automation.state import State


def decide(state: State, at: int) -> Decided | None:
    """The next child, or the end once all are over that began."""
    assert state.started is not None
    rate = state.started.rate
    assert rate is not None
    running = sum(1 for status in state.children.values() if status is None)
    errors = sum(1 for status in state.children.values() if status and counted(status) != "Success")
    index = len(state.children)
    stopped = state.cancelled is not None or errors > rate.errors
    if not stopped and index < len(rate.targets):
        if running >= rate.concurrency:
            return None
        return ChildStarted(at, index, rate.targets[index], child_id(state.started, at, 0, index + 1))
    if running:
        return None
    return _ended(state, errors, len(rate.targets), at)


def counted(status: Status) -> Status:
    """A child's final status as one of the four that have a precedence."""
    if status in ("CompletedWithSuccess", "Exited"):
        return "Success"
    return status if status in PRECEDENCE else "Failed"


def _ended(state: State, errors: int, targets: int, at: int) -> Ended:
    begun = len(state.children)
    skipped = f", {targets - begun} not begun" if begun < targets else ""
    if state.cancelled:
        return Ended(at, "Cancelled", f"cancelled by {state.cancelled.by}{skipped}")
    statuses: list[Status] = [counted(status) for status in state.children.values() if status]
    status: Status = max(statuses, key=PRECEDENCE.index) if statuses else "Success"
    reason = f"{errors} of {begun} did not succeed{skipped}" if errors else ""
    return Ended(at, status, reason)
