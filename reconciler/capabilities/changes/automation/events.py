"""What happened in an execution, in order: all that is kept of it, and all that is needed to go on.

Those that `decide` gives come from the runbook and the events before them; the others come from outside. Every `at` is
Unix milliseconds. Events are JSON: what they hold is text, numbers, booleans, null, lists and mappings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Json: TypeAlias = Mapping[str, Any]
Mode = Literal["Auto", "Interactive"]
Status = Literal[
    "Pending",
    "InProgress",
    "Waiting",
    "Success",
    "TimedOut",
    "Cancelling",
    "Cancelled",
    "Failed",
    "PendingApproval",
    "Approved",
    "Rejected",
    "Scheduled",
    "RunbookInProgress",
    "PendingChangeCalendarOverride",
    "ChangeCalendarOverrideApproved",
    "ChangeCalendarOverrideRejected",
    "CompletedWithSuccess",
    "CompletedWithFailure",
    "Exited",
]
"""SSM's, of executions and of steps. From `PendingApproval` on they are those of change requests, but for `Exited`:
a loop that one of its steps left."""

Signal = Literal["Approve", "Reject", "StartStep", "StopStep", "Resume"]


@dataclass(frozen=True, slots=True)
class Rate:
    """Run once per target, which `parameter` gets: at most `concurrency` at once, no more after `errors` and one."""

    parameter: str
    targets: tuple[str, ...]
    concurrency: int
    errors: int


@dataclass(frozen=True, slots=True)
class Started:
    """The execution began. With `rate` it is the parent of one execution per target and runs no step itself.

    `facts` are values that come from elsewhere, by reference (`ssm:name`, `global:REGION`), as they were then.
    `revision` tells the text of the runbook: the execution goes on with that, whatever the document says later.
    `assume_role` is whose rights it asks for.
    """

    at: int
    fleet_id: str
    execution: str
    document: str
    first: str
    subject: str
    parameters: Json = field(default_factory=dict)
    variables: Json = field(default_factory=dict)
    facts: Json = field(default_factory=dict)
    mode: Mode = "Auto"
    parent: str = ""
    revision: str = ""
    assume_role: str = ""
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class StepStarted:
    """An attempt at a step began. `visit` counts steps begun in this execution; attempts at one share it.

    `until` is when the step ends by itself, `deadline` when it has taken too long. `problem` says why its inputs have
    no value; such a step fails.
    """

    at: int
    visit: int
    step: str
    action: str
    attempt: int = 1
    inputs: Json = field(default_factory=dict)
    until: int | None = None
    deadline: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt failed, and there will be another."""

    at: int
    visit: int
    step: str
    attempt: int
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step is over. `why` says what decided where it leads: `next`, or nowhere, or with `aborts` out of everything.

    `counts`: the execution has failed because this step has. `variables` are those that it changed.
    """

    at: int
    visit: int
    step: str
    status: Status
    outputs: Json = field(default_factory=dict)
    reason: str = ""
    why: str = ""
    next: str | None = None
    aborts: bool = False
    counts: bool = False
    variables: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IterationStarted:
    """A loop runs its steps, beginning with `first`, for the `iteration`th time, counted from 1."""

    at: int
    visit: int
    step: str
    iteration: int
    first: str
    value: Any = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PropertyDiffered:
    """A property did not have a value that is waited for; it is looked at again (the `poll`th time) at `until`."""

    at: int
    visit: int
    poll: int
    until: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class PropertyAsked:
    """The property is looked at again."""

    at: int
    visit: int
    poll: int


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """The execution for one target began; `index` counts targets from 0."""

    at: int
    index: int
    target: str
    execution: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The execution is over. `outputs` has those that the document names and that there are."""

    at: int
    status: Status
    reason: str = ""
    outputs: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answered:
    """From outside: the work with this id is done. `answer` is what selectors look into."""

    at: int
    work: str
    status: Literal["Success", "Failed", "TimedOut", "Cancelled"]
    answer: Json = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """From outside: an execution that this one started is over."""

    at: int
    execution: str
    status: Status
    outputs: Json = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Signalled:
    """From outside: somebody answers the step under way (or, for StartStep, lets the next one begin).

    `roles` are further names by which this person may be an approver.
    """

    at: int
    signal: Signal
    by: str
    roles: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """From outside: somebody stops the execution. A second time, nothing more is run for it."""

    at: int
    by: str
    reason: str = ""


Decided = (
    StepStarted | AttemptEnded | StepEnded | IterationStarted | PropertyDiffered | PropertyAsked | ChildStarted | Ended
)
Event = Started | Answered | ChildEnded | Signalled | Cancelled | Decided

_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Started,
        StepStarted,
        AttemptEnded,
        StepEnded,
        IterationStarted,
        PropertyDiffered,
        PropertyAsked,
        ChildStarted,
        Ended,
        Answered,
        ChildEnded,
        Signalled,
        Cancelled,
    )
}


def to_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object; fields that say nothing are left out."""
    found: dict[str, Any] = {"type": type(event).__name__}
    for each in dataclasses.fields(event):
        value = getattr(event, each.name)
        if value != _default(each):
            found[each.name] = dataclasses.asdict(value) if isinstance(value, Rate) else value
    return found


def from_json(data: Mapping[str, Any]) -> Event:
    """The event of a JSON object that `to_json` gave; fields that are not known are ignored. Raises `ValueError`."""
    kind = _TYPES.get(str(data.get("type")))
    if kind is None:
        raise ValueError(f"there is no event `{data.get('type')}`")
    known = {each.name for each in dataclasses.fields(kind)}
    values = {name: value for name, value in data.items() if name in known}
    if values.get("rate") is not None:
        values["rate"] = Rate(**{**values["rate"], "targets": tuple(values["rate"]["targets"])})
    if "roles" in values:
        values["roles"] = tuple(values["roles"])
    try:
        event: Event = kind(**values)
    except TypeError as error:
        raise ValueError(f"the event `{data['type']}` is not whole: {error}") from error
    return event


def _default(each: dataclasses.Field[Any]) -> Any:
    if each.default_factory is not dataclasses.MISSING:
        return each.default_factory()
    return each.default
