"""What an execution waits for, as data. An effect's id is the same however often it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.effect import Wake, effect_id, job_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.capabilities.changes.automation.events import Started


@dataclass(frozen=True, slots=True)
class Perform:
    """Do the action's work outside, and let `Answered` with this id tell how it went. `deadline` is Unix ms."""

    id: str
    execution: str
    step: str
    action: str
    inputs: Mapping[str, Any]
    deadline: int | None


@dataclass(frozen=True, slots=True)
class StartChild:
    """Start another execution with this id; `ChildEnded` tells how it went.

    `version` is what the step says; of a child for one target it is the revision of its parent. `options` are the
    inputs of the step besides document and parameters, as `Targets` and `MaxErrors`.
    """

    id: str
    execution: str
    parent: str
    subject: str
    document: str
    version: str
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AskApproval:
    """Tell the approvers that they are waited for; `Signalled` brings their answers."""

    id: str
    execution: str
    step: str
    approvers: tuple[str, ...]
    required: int
    message: str
    notification: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop the work of this id as far as that can be; nobody waits for it any longer."""

    id: str


@dataclass(frozen=True, slots=True)
class StopChild:
    """Cancel an execution that this one started."""

    execution: str


Effect = Perform | StartChild | AskApproval | Abandon | StopChild | Wake


def uid(started: Started) -> str:
    """What effects of an execution are about."""
    return f"Execution/{started.execution}"


def work_id(started: Started, visit: int, attempt: int, poll: int = 0) -> str:
    """The id of one piece of work of an execution."""
    return effect_id(started.fleet_id, uid(started), visit, str(attempt), poll)


def child_id(started: Started, at: int, visit: int, attempt: int) -> str:
    """The id of an execution that a step (or, with visit 0, a target) starts, begun at `at`."""
    return job_id(at, work_id(started, visit, attempt))
