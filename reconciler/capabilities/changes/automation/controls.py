"""Steps that this program carries out itself: how each stands at an instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.capabilities.changes.automation.outcome import Outcome, failed
from reconciler.capabilities.changes.automation.values import Unresolved, number, resolved
from reconciler.documents.runbook import conditions, times, variables
from reconciler.documents.runbook.conditions import Incomparable, Verdict, verdict
from reconciler.documents.runbook.mentions import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.capabilities.changes.automation.events import Signalled
    from reconciler.capabilities.changes.automation.state import Running, State
    from reconciler.documents.runbook.conditions import Condition
    from reconciler.documents.runbook.runbook import Runbook, Step


def judged(condition: Condition, runbook: Runbook, state: State, at: int) -> Verdict:
    """Whether a condition holds now; one that looks at something without a value does not."""
    try:
        return verdict(condition, lambda value: resolved(value, runbook, state, at))
    except Unresolved as missing:
        return Verdict(False, str(missing))


def branch(runbook: Runbook, state: State, running: Running, at: int) -> Outcome | None:
    """The first choice that holds, or the default."""
    step = _step(runbook, running)
    assert step.branch is not None
    seen = []
    for choice in step.branch.choices:
        try:
            found = judged(choice.condition, runbook, state, at)
        except Incomparable as error:
            return failed(f"choice {choice.position + 1} cannot be judged: {error}")
        if found.holds:
            seen.append(f"choice {choice.position + 1}: {found.why}")
            return Outcome(goto=choice.next_step, why="; ".join(seen))
        seen.append(f"choice {choice.position + 1} not: {found.why}")
    return Outcome(goto=step.branch.default or "", why="; ".join([*seen, "so the default"]))


def sleep(runbook: Runbook, state: State, running: Running, at: int) -> Outcome | None:  # noqa: ARG001  # as all controls
    """Over at the instant that was settled when it began."""
    assert running.begun.until is not None
    return Outcome() if at >= running.begun.until else None


def slept_until(inputs: Mapping[str, Any], at: int) -> int:
    """When a sleep that begins at `at` is over. Raises `ValueError` with what is wrong with its inputs."""
    duration, timestamp = inputs.get("Duration"), inputs.get("Timestamp")
    name, value = ("Duration", duration) if duration is not None else ("Timestamp", timestamp)
    try:
        until = at + times.milliseconds(str(value)) if name == "Duration" else times.instant(str(value))
    except (ValueError, OverflowError):
        raise ValueError(f"`{name}` is `{value}`; expected ISO 8601") from None
    if until > at + times.LONGEST * 1000:
        raise ValueError(f"`{name}` is `{value}`; expected at most 7 days")
    return until


def pause(runbook: Runbook, state: State, running: Running, at: int) -> Outcome | None:  # noqa: ARG001  # as all controls
    """Over once somebody resumes it."""
    resumed = next((signal for signal in running.signals if signal.signal == "Resume"), None)
    return Outcome(why=f"resumed by {resumed.by}") if resumed else None


def approve(runbook: Runbook, state: State, running: Running, at: int) -> Outcome | None:  # noqa: ARG001  # as all controls
    """Over once enough approvers said yes, or one said no; each counts once, by what was said last."""
    approvers, required = approvers_of(running.begun.inputs)
    said: dict[str, Signalled] = {
        signal.by: signal
        for signal in running.signals
        if signal.signal in ("Approve", "Reject") and is_approver(approvers, signal.by, signal.roles)
    }
    decisions = [
        {"Approver": signal.by, "Decision": _DECISIONS[signal.signal], "Comment": signal.comment}
        for signal in said.values()
    ]
    rejecting = next((signal for signal in said.values() if signal.signal == "Reject"), None)
    if rejecting:
        comment = f": {rejecting.comment}" if rejecting.comment else ""
        reason = f"rejected by {rejecting.by}{comment}"
        return failed(reason, ApprovalStatus="Rejected", ApproverDecisions=decisions)
    if len(said) >= required:
        approved = {"ApprovalStatus": "Approved", "ApproverDecisions": decisions}
        return Outcome(outputs=approved, why="approved by " + ", ".join(said))
    return None


_DECISIONS = {"Approve": "Approved", "Reject": "Rejected"}


def approvers_of(inputs: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Who may approve, and how many have to. Raises `ValueError` where that cannot be."""
    listed = inputs.get("Approvers") or []
    approvers = tuple(str(one) for one in (listed if isinstance(listed, list) else [listed]))
    return approvers, number(inputs, "MinRequiredApprovals", 1, len(approvers))


def is_approver(approvers: tuple[str, ...], by: str, roles: tuple[str, ...] = ()) -> bool:
    """Whether somebody is among the approvers, each given by name or as an ARN that ends in the name."""
    names = {name for approver in approvers for name in (approver, approver.rpartition("/")[2])}
    return not names.isdisjoint((by, *roles))


def update_variable(runbook: Runbook, state: State, running: Running, at: int) -> Outcome | None:  # noqa: ARG001  # as all controls
    """The variable has its new value, if that is of its type; nothing is converted."""
    name = str(running.begun.inputs.get("Name", "")).removeprefix(VARIABLE)
    declared = runbook.variables.get(name)
    if declared is None:
        return failed(f"there is no variable `{name}`")
    value = running.begun.inputs.get("Value")
    if not variables.fits(declared.type, value):
        shown = conditions.shown(value)
        return failed(f"the variable `{name}` cannot be {shown}; expected {variables.words(declared.type)}")
    return Outcome(variables={name: value}, why=f"`{name}` is {conditions.shown(value)}")


def _step(runbook: Runbook, running: Running) -> Step:
    return runbook.by_name[running.begun.step]


CONTROLS: dict[str, Callable[[Runbook, State, Running, int], Outcome | None]] = {
    "aws:approve": approve,
    "aws:branch": branch,
    "aws:pause": pause,
    "aws:sleep": sleep,
    "aws:updateVariable": update_variable,
}
