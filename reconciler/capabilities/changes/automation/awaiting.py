"""What an execution waits for, as effects: a function of its state, so that nothing has to be kept besides events.

After a restart all of `awaited` is given out again; ports are idempotent on the ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.capabilities.changes.automation.controls import approvers_of
from reconciler.capabilities.changes.automation.effects import (
    Abandon,
    AskApproval,
    Perform,
    StartChild,
    StopChild,
    uid,
    work_id,
)
from reconciler.capabilities.changes.automation.events import Answered, ChildEnded
from reconciler.capabilities.changes.automation.state import (
    AUTOMATION,
    CANCELLATION_SECONDS,
    waited_child,
    waited_work,
)
from reconciler.core.effect import Wake
from reconciler.documents.runbook.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.capabilities.changes.automation.effects import Effect
    from reconciler.capabilities.changes.automation.events import Event, Rate, Started, StepStarted
    from reconciler.capabilities.changes.automation.state import State


def awaited(state: State) -> tuple[Effect, ...]:
    """Every effect whose result this execution waits for."""
    if state.started is None or state.ended:
        return ()
    found: list[Effect] = []
    if state.started.rate:
        found += _children(state, state.started, state.started.rate)
    elif state.running and not state.running.begun.problem:
        found += _of_running(state, state.started, state.running.begun)
    instants = [*_instants(state)]
    return (*found, Wake(uid(state.started), min(instants))) if instants else tuple(found)


def dropped(before: tuple[Effect, ...], now: tuple[Effect, ...], incoming: tuple[Event, ...]) -> Iterator[Effect]:
    """An end to work that was waited for, did not answer, and is waited for no longer."""
    answered = {event.work for event in incoming if isinstance(event, Answered)}
    answered |= {event.execution for event in incoming if isinstance(event, ChildEnded)}
    for effect in before:
        if effect in now:
            continue
        if isinstance(effect, Perform) and effect.id not in answered:
            yield Abandon(effect.id)
        elif isinstance(effect, StartChild) and effect.execution not in answered:
            stop = StopChild(effect.execution)
            if stop not in now:
                yield stop


def _children(state: State, started: Started, rate: Rate) -> Iterator[Effect]:
    for index, (execution, status) in enumerate(state.children.items()):
        if status:
            continue
        if state.cancelled:
            yield StopChild(execution)
            continue
        parameters = {**started.parameters, rate.parameter: rate.targets[index]}
        work = work_id(started, 0, index + 1)
        subject, document = started.subject, started.document
        yield StartChild(work, execution, started.execution, subject, document, started.revision, parameters, {})


def _of_running(state: State, started: Started, begun: StepStarted) -> Iterator[Effect]:
    inputs = begun.inputs
    if begun.action == "aws:approve":
        approvers, required = approvers_of(inputs)
        message, notification = str(inputs.get("Message", "")), str(inputs.get("NotificationArn", ""))
        work = work_id(started, begun.visit, begun.attempt)
        yield AskApproval(work, started.execution, begun.step, approvers, required, message, notification)
    elif ACTIONS[begun.action].decided or not (work := waited_work(state)):
        return
    elif begun.action == AUTOMATION:
        yield StartChild(
            work,
            waited_child(state),
            started.execution,
            started.subject,
            str(inputs.get("DocumentName", "")),
            str(inputs.get("DocumentVersion", "")),
            inputs.get("RuntimeParameters") or {},
            {name: value for name, value in inputs.items() if name not in _OF_CHILD},
        )
    else:
        yield Perform(work, started.execution, begun.step, begun.action, inputs, begun.deadline)


_OF_CHILD = frozenset({"DocumentName", "DocumentVersion", "RuntimeParameters"})


def _instants(state: State) -> Iterator[int]:
    """When something may change by itself, in Unix milliseconds."""
    if state.running:
        yield from (at for at in (state.running.begun.until, state.running.begun.deadline) if at is not None)
        if state.running.again_at is not None:
            yield state.running.again_at
        yield from (frame.begun.deadline for frame in state.frames if frame.begun.deadline is not None)
    if state.cancelled and not (state.started and state.started.rate):
        yield state.cancelled.at + CANCELLATION_SECONDS * 1000
