"""How an attempt at a step went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.capabilities.changes.automation.events import Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt. `goto` is where a branch leads, empty for wherever success leads; `why` says why."""

    status: Status = "Success"
    outputs: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    why: str = ""
    goto: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)


def failed(reason: str, **outputs: Any) -> Outcome:
    """A failure that this program found."""
    return Outcome("Failed", outputs, reason)
