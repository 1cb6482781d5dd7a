"""Steps whose work is done outside: what an answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.capabilities.changes.automation.events import ChildEnded, PropertyAsked, PropertyDiffered
from reconciler.capabilities.changes.automation.outcome import Outcome, failed
from reconciler.capabilities.changes.automation.values import Unselected, outputs
from reconciler.documents.runbook import jsonpath, references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.capabilities.changes.automation.events import Answered
    from reconciler.capabilities.changes.automation.state import Running
    from reconciler.documents.runbook.runbook import Step

ASSERT = "aws:assertAwsResourceProperty"
WAIT = "aws:waitForAwsResourceProperty"
POLL_SECONDS = 5
"""Between two looks at a property."""


def judge(step: Step, running: Running, at: int) -> Outcome | PropertyDiffered | PropertyAsked | None:
    """What the answer to the attempt under way comes to; None while there is nothing to say."""
    if running.again_at is not None:
        return PropertyAsked(at, running.begun.visit, running.poll) if at >= running.again_at else None
    if running.answer is None:
        return None
    if isinstance(running.answer, ChildEnded):
        return _of_child(step, running.answer)
    return _of_work(step, running, running.answer, at)


def _of_work(step: Step, running: Running, answered: Answered, at: int) -> Outcome | PropertyDiffered:
    if answered.status == "Success" and step.action in (ASSERT, WAIT):
        try:
            matches, value = _looked_at(running.begun.inputs, answered.answer)
        except jsonpath.NotAPath as error:
            return failed(f"`PropertySelector` is no JSONPath: {error}")
        wanted = ", ".join(f"`{one}`" for one in _wanted(running.begun.inputs))
        if not matches and step.action == WAIT:
            return PropertyDiffered(at, running.begun.visit, running.poll + 1, at + POLL_SECONDS * 1000, value)
        if not matches:
            return failed(f"the property is `{references.written(value)[:100]}`; expected {wanted}")
    return _selected(step, Outcome(answered.status, reason=answered.reason), answered.answer)


def _of_child(step: Step, ended: ChildEnded) -> Outcome:
    texts = [references.written(value) for value in ended.outputs.values()]
    answer = {"Output": texts, "ExecutionId": ended.execution, "Status": ended.status}
    if ended.status in ("Success", "CompletedWithSuccess"):
        return _selected(step, Outcome(), answer)
    status = ended.status if ended.status in ("TimedOut", "Cancelled") else "Failed"
    reason = ended.reason or f"the execution {ended.execution} ended as {ended.status}"
    return _selected(step, Outcome(status, reason=reason), answer)


def _selected(step: Step, outcome: Outcome, answer: Mapping[str, Any]) -> Outcome:
    """The outcome with its outputs; a success without an output that is as declared is none."""
    try:
        found = outputs(step, answer)
    except Unselected as error:
        return failed(str(error)) if outcome.status == "Success" else outcome
    return Outcome(outcome.status, found, outcome.reason)


def _looked_at(inputs: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether the property has one of the values that are wanted (of many properties, every one), and what it has."""
    path = jsonpath.parse(str(inputs.get("PropertySelector")))
    try:
        value = jsonpath.select(path, answer)
    except LookupError:
        return False, None
    found = value if isinstance(value, list) else [value]
    wanted = _wanted(inputs)
    return bool(found) and all(references.written(one) in wanted for one in found), value


def _wanted(inputs: Mapping[str, Any]) -> list[str]:
    wanted = inputs.get("DesiredValues") or []
    return [references.written(one) for one in (wanted if isinstance(wanted, list) else [wanted])]
