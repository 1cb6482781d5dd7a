"""What `opsctl document run` and `opsctl run` print with `--format json`."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

Status = Literal["Pending", "InProgress", "Delayed", "Success", "Cancelled", "TimedOut", "Failed", "Cancelling"]


class _StepView(TypedDict):
    name: str
    action: str
    status: Literal["Success", "Failed", "TimedOut", "Cancelled", "Skipped"]


class RanStep(_StepView, total=False):
    """One step on one node. `output` is its beginning (2,500 characters), `sizes` are the bytes of the whole.

    `payload` is JSON: what an action that returns something returned.
    """

    rc: int
    startedAt: str
    finishedAt: str
    reason: str
    output: str
    sizes: dict[str, int]
    payload: str


class OutputView(TypedDict):
    """How much of what a step said to `stdout` or `stderr` the output store has."""

    step: str
    stream: Literal["stdout", "stderr"]
    bytes: int


class InvocationView(TypedDict):
    """One node's part. `standardOutput` and `standardError` are beginnings: 24,000 and 8,000 characters.

    `statusDetails` are SSM's: Delayed, DeliveryTimedOut, ExecutionTimedOut, Undeliverable, Terminated and so on. What
    holds a state says in `claims` what it was and became.
    """

    node: str
    nodeId: str
    job: str
    status: Status
    statusDetails: str
    reason: str
    finishedAt: str | None
    steps: list[RanStep]
    claims: list[dict[str, Any]]
    standardOutput: str
    standardError: str
    outputs: list[OutputView]


class CommandView(TypedDict):
    """A document run on nodes. `check`: they only said what they would do. `finished`: it will not change again."""

    command: str
    document: str
    subject: str
    targets: str
    check: bool
    comment: str
    reviewed: bool
    requestedAt: str
    finishedAt: str | None
    status: Status
    statusDetails: str
    maxConcurrency: str
    maxErrors: str
    targetCount: int
    completedCount: int
    errorCount: int
    deliveryTimedOutCount: int
    cancelledBy: str
    finished: bool
    invocations: list[InvocationView]


class CommandDocument(CommandView):
    """`opsctl run`, `opsctl document run --targets`, `opsctl run show` and `cancel`."""

    format: Literal["opsctl.command/v1"]


class CommandsDocument(TypedDict):
    """`opsctl run list`: without their invocations, and so without counts of them."""

    format: Literal["opsctl.commands/v1"]
    commands: list[CommandView]


class RunDocument(TypedDict):
    """`opsctl document run --local`."""

    format: Literal["opsctl.run/v1"]
    status: Literal["Success", "Failed", "TimedOut", "Cancelled"]
    steps: list[RanStep]


COMMAND_DOCUMENTS: dict[str, Any] = {
    "command": CommandDocument,
    "commands": CommandsDocument,
    "run": RunDocument,
}
"""Every document by the name in its `format`."""
