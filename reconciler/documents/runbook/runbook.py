"""A runbook as it is used: steps with their inputs, where each leads, and nothing left to look up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from reconciler.documents.runbook.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.core.manifest import Loc, Places
    from reconciler.core.problem import Finding
    from reconciler.documents.model import Parameter
    from reconciler.documents.runbook.actions import OutputType
    from reconciler.documents.runbook.conditions import Condition
    from reconciler.documents.runbook.jsonpath import Path
    from reconciler.documents.runbook.model import FileDeclaration, VariableDeclaration


@dataclass(frozen=True, slots=True)
class Reaction:
    """What follows a failure or a cancellation; `step` is where to go, for the kind `step`."""

    kind: Literal["Abort", "Continue", "step"] = "Abort"
    step: str = ""

    def __str__(self) -> str:
        return f"step:{self.step}" if self.kind == "step" else self.kind


@dataclass(frozen=True, slots=True)
class Output:
    """A named part of an action's answer, and what it has to be."""

    name: str
    selector: str
    type: OutputType
    path: Path


@dataclass(frozen=True, slots=True)
class Choice:
    """One way out of a branch: taken if the condition holds and none before it did. `position` counts
    from 0."""

    condition: Condition
    next_step: str
    position: int


@dataclass(frozen=True, slots=True)
class Branch:
    """The ways out of a branch. Without `default`, the step after it in order follows where no choice holds."""

    choices: tuple[Choice, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps that run once per iterator, or again while the condition holds after them."""

    steps: tuple[Step, ...]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `inputs` may hold references; of a loop they leave out its steps and its condition.

    `following` is the step written after it among those it stands with, None for the last. `within` is the loop it
    stands in, empty for none.
    """

    name: str
    action: str
    loc: Loc
    description: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    on_failure: Reaction = Reaction()
    on_cancel: Reaction = Reaction()
    next_step: str | None = None
    is_end: bool = False
    is_critical: bool = True
    max_attempts: int = 1
    timeout_seconds: int | None = None
    branch: Branch | None = None
    loop: Loop | None = None
    following: str | None = None
    within: str = ""

    @property
    def limit(self) -> int | None:
        """Seconds that one attempt may take; None for no limit."""
        return self.timeout_seconds or ACTIONS[self.action].timeout

    @property
    def successor(self) -> str | None:
        """The step that comes once this one succeeded and no branch says otherwise; None at an end."""
        return None if self.is_end else self.next_step or self.following


EdgeKind = Literal["next", "choice", "default", "failure", "cancel", "body"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One way that control may flow. `target` is None where the execution (or, in a loop, the iteration) ends.

    `next`: after success, in order or by `nextStep`. `choice` and `default`: of a branch. `failure` and `cancel`:
    by `onFailure` and `onCancel`. `body`: from a loop to its first step. `label` says when.
    """

    source: str
    target: str | None
    kind: EdgeKind
    label: str = ""


@dataclass(frozen=True, slots=True)
class Runbook:
    """A valid Automation document. `by_name` has the steps within loops too. `path` is the file, for people."""

    name: str
    path: str
    description: str
    assume_role: str
    parameters: Mapping[str, Parameter]
    variables: Mapping[str, VariableDeclaration]
    outputs: tuple[str, ...]
    files: Mapping[str, FileDeclaration]
    steps: tuple[Step, ...]
    by_name: Mapping[str, Step]
    edges: tuple[Edge, ...]
    places: Places = field(compare=False, repr=False)
    warnings: tuple[Finding, ...] = ()


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step, those within loops after their loop."""
    for step in steps:
        yield step
        if step.loop:
            yield from walk(step.loop.steps)
