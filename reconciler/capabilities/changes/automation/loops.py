"""Loops: whether their steps run once more, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.capabilities.changes.automation.controls import judged
from reconciler.capabilities.changes.automation.events import IterationStarted
from reconciler.capabilities.changes.automation.outcome import Outcome, failed
from reconciler.capabilities.changes.automation.values import number
from reconciler.documents.runbook.conditions import Incomparable, shown
from reconciler.documents.runbook.references import written

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.capabilities.changes.automation.state import Frame, State
    from reconciler.documents.runbook.runbook import Loop, Runbook

MOST = 100
"""Iterations of one loop, as in SSM."""


def turn(loop: Loop, runbook: Runbook, state: State, at: int) -> IterationStarted | Outcome:
    """What the innermost loop does now that its steps are through (or have not begun)."""
    frame = state.frames[-1]
    done = frame.iteration
    try:
        limit = number(frame.begun.inputs, "MaxIterations", MOST, MOST)
        if loop.condition is None:
            items = _items(frame)
            if done >= len(items):
                return _over(frame, "no item is left")
            value, why = items[done], ""
        else:
            value, why = None, ""
            if done:
                found = judged(loop.condition, runbook, state, at)
                if not found.holds:
                    return _over(frame, f"the condition does not hold: {found.why}")
                why = found.why
    except (ValueError, Incomparable) as error:
        return failed(str(error))
    if done >= limit:
        return _over(frame, f"it ran {done} times, the most it may")
    first = loop.steps[0].name
    return IterationStarted(at, frame.begun.visit, frame.begun.step, done + 1, first, value, why)


def _over(frame: Frame, why: str) -> Outcome:
    return Outcome(outputs={"CurrentIteration": frame.iteration}, why=why)


def _items(frame: Frame) -> list[Any]:
    items = frame.begun.inputs.get("Iterators")
    if not isinstance(items, list):
        raise ValueError("`Iterators` is no list")  # wrong in the runbook, not in this program
    if len(items) > MOST:
        raise ValueError(f"`Iterators` has {len(items)} items; expected at most {MOST}")
    kind = str(frame.begun.inputs.get("IteratorDataType") or "String")
    return [_typed(kind, item) for item in items]


def _typed(kind: str, item: Any) -> Any:
    try:
        return _TYPED[kind](item)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"the iterator {shown(item)} is no {kind}") from None


_TRUTH = {"true": True, "false": False}
_TYPED: dict[str, Callable[[Any], Any]] = {
    "String": lambda item: item if isinstance(item, dict) else written(item),
    "Integer": int,
    "Boolean": lambda item: _TRUTH[written(item).lower()],
    "StringMap": dict,
}
