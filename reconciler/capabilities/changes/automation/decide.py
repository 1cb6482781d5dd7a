"""What comes next in an execution: pure, from the runbook, the state that its events come to, and the instant.

`decide` gives one event at a time, so that every prefix of an execution's events is a whole state of it. An execution
that is recorded up to any of them goes on from there as if nothing had happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.capabilities.changes.automation import children, controls, loops, work
from reconciler.capabilities.changes.automation.awaiting import awaited, dropped
from reconciler.capabilities.changes.automation.events import AttemptEnded, Ended, StepEnded, StepStarted
from reconciler.capabilities.changes.automation.outcome import Outcome, failed
from reconciler.capabilities.changes.automation.state import CANCELLATION_SECONDS, PRECEDENCE, evolve
from reconciler.capabilities.changes.automation.values import Unresolved, resolved
from reconciler.documents.runbook import references
from reconciler.documents.runbook.actions import ACTIONS
from reconciler.documents.runbook.runbook import Reaction

if TYPE_CHECKING:
    from typing import Any

    from reconciler.capabilities.changes.automation.effects import Effect
    from reconciler.capabilities.changes.automation.events import Decided, Event, Status
    from reconciler.capabilities.changes.automation.state import Frame, Running, State
    from reconciler.documents.runbook.runbook import Runbook, Step

MOST_VISITS = 10_000
"""Steps that one execution may begin: one that goes round for ever ends."""
_AT_ONCE = 1000
"""Events of one `advance`."""


class Advance(NamedTuple):
    """Where an execution came to: its state, the events to record, and what is to be done for it now.

    `more`: there is more to decide at once; others get their turn first.
    """

    state: State
    events: tuple[Event, ...]
    effects: tuple[Effect, ...]
    more: bool = False


def advance(runbook: Runbook, state: State, at: int, *incoming: Event) -> Advance:
    """Take what came from outside, and decide until nothing more can be decided at `at`.

    `at` is Unix milliseconds, not earlier than any event. Events and effects are to be recorded together.
    """
    before = awaited(state)
    for event in incoming:
        state = evolve(state, event)
    events = list(incoming)
    while (decided := decide(runbook, state, at)) is not None and len(events) < _AT_ONCE:
        events.append(decided)
        state = evolve(state, decided)
    now = awaited(state)
    new = (effect for effect in now if effect not in before)
    return Advance(state, tuple(events), (*dropped(before, now, incoming), *new), decided is not None)


def decide(runbook: Runbook, state: State, at: int) -> Decided | None:
    """The next event; None where the execution is over or waits for something outside or for another instant."""
    if state.started is None or state.ended:
        return None
    if state.started.rate:
        return children.decide(state, at)
    if state.running:
        return _of_running(runbook, state, state.running, at)
    if state.retry and state.next:
        return _begun(runbook, state, state.next, at)
    if _is_stopping(state, at):
        return _unwound(runbook, state, at)
    if state.frames and (event := _of_loop(runbook, state, state.frames[-1], at)) is not None:
        return event
    if state.next is None:
        return _ended(runbook, state, at)
    if state.held:
        return None
    return _begun(runbook, state, state.next, at)


def _of_running(runbook: Runbook, state: State, running: Running, at: int) -> Decided | None:
    step = runbook.by_name[running.begun.step]
    if state.cancelled and not state.cancellation_begun and not state.aborting:
        return _over(step, running, Outcome("Cancelled", reason=_cancelling(state)), step.on_cancel, at, "onCancel")
    if state.cancelled and _is_stopping(state, at):
        return _over(step, running, Outcome("Cancelled", reason=_cancelling(state)), Reaction(), at, "onCancel")
    stopped = next((signal for signal in running.signals if signal.signal == "StopStep"), None)
    if stopped:
        return _over(step, running, Outcome("Cancelled", reason=f"stopped by {stopped.by}"), step.on_failure, at)
    found = _outcome(runbook, state, step, running, at)
    if found is None and (late := _too_late(at, running.begun, *_loops(state))):
        found = Outcome("TimedOut", reason=late)
    if not isinstance(found, Outcome):
        return found
    again = not running.begun.problem and not _too_late(at, *_loops(state))
    return _ending(step, running, found, at, again=again)


def _outcome(runbook: Runbook, state: State, step: Step, running: Running, at: int) -> Outcome | Decided | None:
    if running.begun.problem:
        return failed(running.begun.problem)
    control = controls.CONTROLS.get(step.action)
    return control(runbook, state, running, at) if control else work.judge(step, running, at)


def _too_late(at: int, *begun_steps: StepStarted) -> str:
    for begun in begun_steps:
        if begun.deadline is not None and at >= begun.deadline:
            return f"`{begun.step}` took more than {(begun.deadline - begun.at) // 1000} s"
    return ""


def _loops(state: State) -> list[StepStarted]:
    return [frame.begun for frame in state.frames]


def _ending(step: Step, running: Running, outcome: Outcome, at: int, *, again: bool) -> Decided:
    begun = running.begun
    if outcome.status == "Success":
        return _succeeded(step, begun.visit, outcome, at)
    if again and begun.attempt < step.max_attempts and not ACTIONS[step.action].decided:
        return AttemptEnded(at, begun.visit, step.name, begun.attempt, outcome.status, outcome.reason)
    return _over(step, running, outcome, step.on_failure, at)


def _succeeded(step: Step, visit: int, outcome: Outcome, at: int) -> StepEnded:
    return StepEnded(
        at,
        visit,
        step.name,
        "Success",
        outcome.outputs,
        why=outcome.why,
        next=outcome.goto or step.successor,
        variables=outcome.variables,
    )


def _over(
    step: Step, under_way: Running | Frame, outcome: Outcome, reaction: Reaction, at: int, word: str = "onFailure"
) -> StepEnded:
    """A step that did not succeed, and what follows from that; `word` is the field that says so."""
    aborts = reaction.kind == "Abort"
    following = {"Abort": None, "Continue": step.successor, "step": reaction.step}[reaction.kind]
    return StepEnded(
        at,
        under_way.begun.visit,
        step.name,
        outcome.status,
        outcome.outputs,
        outcome.reason,
        f"{word}: {reaction}",
        following,
        aborts,
        step.is_critical or aborts,
    )


def _of_loop(runbook: Runbook, state: State, frame: Frame, at: int) -> Decided | None:
    """What the innermost loop does when none of its steps is under way; None where one of them comes next."""
    step = runbook.by_name[frame.begun.step]
    assert step.loop is not None
    if state.next is not None and runbook.by_name[state.next].within != step.name:
        why = f"one of its steps leads to `{state.next}`"
        outputs = {"CurrentIteration": frame.iteration}
        return StepEnded(at, frame.begun.visit, step.name, "Exited", outputs, why=why, next=state.next)
    if frame.begun.problem:
        return _over(step, frame, failed(frame.begun.problem), step.on_failure, at)
    if late := _too_late(at, *_loops(state)):
        return _over(step, frame, Outcome("TimedOut", reason=late), step.on_failure, at)
    if state.next is not None:
        return None
    found = loops.turn(step.loop, runbook, state, at)
    if not isinstance(found, Outcome):
        return found
    if found.status == "Success":
        return _succeeded(step, frame.begun.visit, found, at)
    return _over(step, frame, found, step.on_failure, at)


def _is_stopping(state: State, at: int) -> bool:
    """Whether no further step is to begin."""
    if state.aborting:
        return True
    if state.cancelled is None:
        return False
    return not state.cancellation_begun or at >= state.cancelled.at + CANCELLATION_SECONDS * 1000


def _unwound(runbook: Runbook, state: State, at: int) -> Decided:
    """Loops end from the innermost outwards, then the execution does."""
    if not state.frames:
        return _ended(runbook, state, at)
    begun = state.frames[-1].begun
    status: Status = "Cancelled" if state.cancelled else state.failure
    outputs = {"CurrentIteration": state.frames[-1].iteration}
    return StepEnded(at, begun.visit, begun.step, status, outputs, state.reason, aborts=True)


def _cancelling(state: State) -> str:
    assert state.cancelled is not None
    return f"cancelled by {state.cancelled.by}" + (f": {state.cancelled.reason}" if state.cancelled.reason else "")


def _ended(runbook: Runbook, state: State, at: int) -> Ended:
    outputs: dict[str, Any] = {}
    for name in runbook.outputs:
        text = name if "{{" in name else f"{{{{ {name} }}}}"
        try:
            outputs[references.names(text)[0]] = resolved(text, runbook, state, at)
        except Unresolved:
            continue
    if state.cancelled:
        return Ended(at, "Cancelled", _cancelling(state), outputs)
    assert state.failure in PRECEDENCE
    return Ended(at, state.failure, state.reason, outputs)


def _begun(runbook: Runbook, state: State, name: str, at: int) -> Decided:
    step = runbook.by_name[name]
    visit, attempt = state.retry or (state.visits + 1, 1)
    if visit > MOST_VISITS:
        return Ended(at, "Failed", f"{MOST_VISITS} steps have run, the most that one execution may")
    try:
        inputs = _inputs(runbook, state, step, at)
        until = controls.slept_until(inputs, at) if step.action == "aws:sleep" else None
        if step.action == "aws:approve":
            controls.approvers_of(inputs)
    except (Unresolved, ValueError) as error:
        return StepStarted(at, visit, name, step.action, attempt, problem=str(error))
    deadline = at + step.limit * 1000 if step.limit else None
    return StepStarted(at, visit, name, step.action, attempt, inputs, until, deadline)


def _inputs(runbook: Runbook, state: State, step: Step, at: int) -> Any:
    """The inputs with values in place of references. Choices stay as written: what they look at may have no value."""
    open_until_judged = {"Choices": step.inputs["Choices"]} if step.branch else {}
    rest = {name: value for name, value in step.inputs.items() if name not in open_until_judged}
    return {**resolved(rest, runbook, state, at), **open_until_judged}
