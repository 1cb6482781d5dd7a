"""Conditions: what people read about a resource's state, in Kubernetes' form.

`Ready` tells whether the tracked revision is the one in force; a resource kept at an older one says why here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.core.problem import Finding


@dataclass(frozen=True, slots=True)
class Condition:
    """One statement about one resource. `status` is True, False or Unknown; `reason` one CamelCase word."""

    uid: str
    kind: str
    status: str
    reason: str
    message: str
    findings: tuple[Finding, ...] = ()
