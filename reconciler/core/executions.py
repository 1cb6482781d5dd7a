"""Executions of Automation documents, as the store keeps them and the outside answers them. Names are SSM's.

Instants are Unix milliseconds, 0 where there is none yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Ending = Literal["Success", "Failed", "TimedOut", "Cancelled"]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a piece of work went. `outputs` is what the step's selectors look into: JSON, bounded in size by the taker.

    `reason` says in a sentence why it did not succeed.
    """

    status: Ending = "Success"
    outputs: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """An execution as lists show it; what happened in it stands in its events, from which all of it follows.

    `source_digest` names the body that has the document's text, `parent` the execution that started it, empty for none,
    `depth` how many stand above it. `targets` is text as people write it.
    """

    id: str
    document: str
    source_digest: str
    subject: str
    started_at: int
    parent: str = ""
    depth: int = 0
    mode: str = "Auto"
    targets: str = ""
    status: str = "Pending"
    reason: str = ""
    finished_at: int = 0

    @property
    def final(self) -> bool:
        return self.finished_at != 0


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of an execution: JSON text. `number` counts from 0 without gaps."""

    execution: str
    number: int
    event: str
