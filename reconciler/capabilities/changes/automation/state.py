"""Where an execution stands: what its events come to. Nothing here knows the runbook."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce, singledispatch
from typing import TYPE_CHECKING, Any

from reconciler.capabilities.changes.automation.effects import child_id, work_id
from reconciler.capabilities.changes.automation.events import (
    Answered,
    AttemptEnded,
    Cancelled,
    ChildEnded,
    ChildStarted,
    Ended,
    Event,
    IterationStarted,
    PropertyAsked,
    PropertyDiffered,
    Signalled,
    Started,
    Status,
    StepEnded,
    StepStarted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOOP = "aws:loop"
AUTOMATION = "aws:executeAutomation"
WAITING = frozenset({"aws:approve", "aws:pause"})
CANCELLATION_SECONDS = 120
"""How long steps that `onCancel` leads to may take together, as in SSM."""
PRECEDENCE: tuple[Status, ...] = ("Success", "Cancelled", "TimedOut", "Failed")
"""SSM's: of several statuses the last of these is that of the whole."""


@dataclass(frozen=True, slots=True)
class Running:
    """The attempt under way, and what came for it. `poll` counts looks at a property; `again_at` is the next one."""

    begun: StepStarted
    answer: Answered | ChildEnded | None = None
    signals: tuple[Signalled, ...] = ()
    poll: int = 0
    again_at: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A loop under way: how often its steps ran, this time included, and for what value."""

    begun: StepStarted
    iteration: int = 0
    value: Any = None


@dataclass(frozen=True, slots=True)
class State:
    """An execution between two events.

    `next` is the step that comes now; None where the steps of the innermost loop, or of the document, are through.
    `retry` is the visit and attempt that comes now, for a step that failed. `failure` is the worst that counts.
    `children` has the status by execution of what was started for targets, None while it runs.
    """

    started: Started | None = None
    ended: Ended | None = None
    next: str | None = None
    retry: tuple[int, int] | None = None
    running: Running | None = None
    frames: tuple[Frame, ...] = ()
    visits: int = 0
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    interactive: bool = False
    released: bool = False
    aborting: bool = False
    failure: Status = "Success"
    reason: str = ""
    cancelled: Cancelled | None = None
    cancellation_begun: bool = False
    children: Mapping[str, Status | None] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """What people see."""
        if self.started is None:
            return "Pending"
        if self.ended:
            return self.ended.status
        if self.cancelled:
            return "Cancelling"
        if self.running:
            return "Waiting" if self.running.begun.action in WAITING else "InProgress"
        return "Waiting" if self.held else "InProgress"

    @property
    def held(self) -> bool:
        """Whether somebody has to let the next step begin."""
        return self.interactive and not self.released and self.retry is None and self.next is not None


def replay(events: Iterable[Event]) -> State:
    """The state that these events come to, the first being the first of the execution."""
    return reduce(evolve, events, State())


def evolve(state: State, event: Event) -> State:
    """The state after one more event. An event that nobody waits for changes nothing."""
    if state.ended:
        return state
    return _after(event, state)


def waited_work(state: State) -> str:
    """The id of the work whose answer the attempt under way waits for; empty for none."""
    running = state.running
    if running is None or running.answer or running.again_at is not None or state.started is None:
        return ""
    return work_id(state.started, running.begun.visit, running.begun.attempt, running.poll)


def waited_child(state: State) -> str:
    """The execution whose end the attempt under way waits for, if it is one that starts another; empty for none."""
    if not waited_work(state) or state.started is None or state.running is None:
        return ""
    begun = state.running.begun
    return child_id(state.started, begun.at, begun.visit, begun.attempt) if begun.action == AUTOMATION else ""


def worst(one: Status, other: Status) -> Status:
    """Of two statuses that of the whole."""
    return max(one, other, key=PRECEDENCE.index)


@singledispatch
def _after(event: Any, state: State) -> State:  # noqa: ARG001  # every event has its own
    raise TypeError(event)


@_after.register
def _(event: Started, state: State) -> State:
    return replace(
        state,
        started=event,
        next=event.first,
        variables=event.variables,
        interactive=event.mode == "Interactive",
    )


@_after.register
def _(event: StepStarted, state: State) -> State:
    visits = max(state.visits, event.visit)
    begun = replace(state, next=None, retry=None, visits=visits, released=state.released and event.attempt > 1)
    if event.action == LOOP:
        return replace(begun, frames=(*state.frames, Frame(event)))
    return replace(begun, running=Running(event))


@_after.register
def _(event: AttemptEnded, state: State) -> State:
    return replace(state, running=None, next=event.step, retry=(event.visit, event.attempt + 1))


@_after.register
def _(event: StepEnded, state: State) -> State:
    frames, running = state.frames, state.running
    if frames and frames[-1].begun.visit == event.visit:
        frames = frames[:-1]
    else:
        running = None
    return replace(
        state,
        frames=frames,
        running=running,
        next=event.next,
        retry=None,
        aborting=state.aborting or event.aborts,
        outputs={**state.outputs, event.step: event.outputs} if event.outputs else state.outputs,
        variables={**state.variables, **event.variables} if event.variables else state.variables,
        failure=worst(state.failure, event.status) if event.counts else state.failure,
        reason=event.reason if event.counts and not state.reason else state.reason,
        cancellation_begun=state.cancelled is not None,
    )


@_after.register
def _(event: IterationStarted, state: State) -> State:
    frame = replace(state.frames[-1], iteration=event.iteration, value=event.value)
    return replace(state, frames=(*state.frames[:-1], frame), next=event.first)


@_after.register
def _(event: PropertyDiffered, state: State) -> State:
    return _with_running(state, answer=None, poll=event.poll, again_at=event.until)


@_after.register
def _(event: PropertyAsked, state: State) -> State:  # noqa: ARG001  # that it was is all that matters
    return _with_running(state, again_at=None)


@_after.register
def _(event: ChildStarted, state: State) -> State:
    return replace(state, children={**state.children, event.execution: None})


@_after.register
def _(event: Ended, state: State) -> State:
    return replace(state, ended=event)


@_after.register
def _(event: Answered, state: State) -> State:
    return _with_running(state, answer=event) if event.work == waited_work(state) else state


@_after.register
def _(event: ChildEnded, state: State) -> State:
    if event.execution in state.children:
        known = state.children[event.execution]
        return state if known else replace(state, children={**state.children, event.execution: event.status})
    return _with_running(state, answer=event) if event.execution == waited_child(state) else state


@_after.register
def _(event: Signalled, state: State) -> State:
    if event.signal == "StartStep":
        return replace(state, released=True) if state.held else state
    if event.signal == "Resume" and state.interactive and not state.running:
        return replace(state, interactive=False)
    if state.running is None:
        return state
    return _with_running(state, signals=(*state.running.signals, event))


@_after.register
def _(event: Cancelled, state: State) -> State:
    if state.cancelled:
        return replace(state, aborting=True)
    return replace(state, cancelled=event)


def _with_running(state: State, **changed: Any) -> State:
    assert state.running is not None
    return replace(state, running=replace(state.running, **changed))
