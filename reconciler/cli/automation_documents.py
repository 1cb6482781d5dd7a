"""What `opsctl automation` prints with `--format json`."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

Status = Literal[
    "Pending",
    "InProgress",
    "Waiting",
    "Success",
    "TimedOut",
    "Cancelling",
    "Cancelled",
    "Failed",
    "Exited",
    "CompletedWithSuccess",
    "CompletedWithFailure",
]


class NoteView(TypedDict):
    """One thing that happened within a step, in words."""

    at: str
    text: str


class StepExecutionView(TypedDict):
    """One run of a step, or one that has not run. `why` says what decided where it led: `next`, null for an end.

    `visit` numbers runs of steps in the order they began; `parent` is that of the loop around it, with the iteration
    and its value. `milliseconds` are from its first attempt's beginning to its end.
    """

    step: str
    action: str
    status: Status
    visit: int
    attempts: int
    startedAt: str | None
    finishedAt: str | None
    milliseconds: int | None
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    reason: str
    why: str
    next: str | None
    parent: int
    iteration: int
    value: Any
    notes: list[NoteView]


class ChildView(TypedDict):
    """The execution for one target."""

    execution: str
    target: str
    status: Status


class ExecutionSummary(TypedDict):
    """An execution in a list. `parent` is the one that started it, empty for none."""

    execution: str
    document: str
    subject: str
    status: Status
    reason: str
    mode: Literal["Auto", "Interactive"]
    parent: str
    targets: str
    startedAt: str
    finishedAt: str | None
    finished: bool


class ExecutionView(ExecutionSummary):
    """An execution with its timeline. `waitsFor` says for whom it waits, empty where for nobody."""

    assumeRole: str
    parameters: dict[str, Any]
    variables: dict[str, Any]
    outputs: dict[str, Any]
    waitsFor: str
    steps: list[StepExecutionView]
    children: list[ChildView]


class ExecutionDocument(ExecutionView):
    """`opsctl automation start`, `show`, and whatever answers or ends an execution."""

    format: Literal["opsctl.execution/v1"]


class ExecutionsDocument(TypedDict):
    """`opsctl automation list`."""

    format: Literal["opsctl.executions/v1"]
    executions: list[ExecutionSummary]


AUTOMATION_DOCUMENTS: dict[str, Any] = {
    "execution": ExecutionDocument,
    "executions": ExecutionsDocument,
}
"""Every document by the name in its `format`."""
