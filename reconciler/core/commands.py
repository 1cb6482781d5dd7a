"""Commands: a body run once on chosen nodes; an invocation is one node's part of it. Names and statuses are SSM's.

Instants are Unix milliseconds, 0 where there is none yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUSES = ("Pending", "InProgress", "Delayed", "Success", "Cancelled", "TimedOut", "Failed", "Cancelling")
FINAL = frozenset({"Success", "Cancelled", "TimedOut", "Failed"})
Left = Literal["failed", "skipped", "offline"]
LEFT: Mapping[str, Left] = {
    "Failed": "failed",
    "ExecutionTimedOut": "failed",
    "InvalidPlatform": "failed",
    "Undeliverable": "failed",
    "Cancelled": "skipped",
    "Terminated": "skipped",
    "DeliveryTimedOut": "offline",
}
"""Why a node has still to do it, by the details of its invocation: what was begun and did not succeed, what was kept
from beginning, whoever was not here."""
DEFAULT_CONCURRENCY, DEFAULT_ERRORS = "50", "0"
DELIVERY_TIMEOUT = 3600
"""Seconds in which a node has to take its job, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class CommandRow:
    """What was asked for, and what it has come to.

    `parameters` is canonical JSON, `targets` text as people write it. `check`: nodes only say what they would do.
    `cancelled_by` is who asked for its end, `comment` why it was asked for, `reviewed` whether the document stood in
    the repository. Timeouts are in seconds: until a node takes its job, and for the job.
    """

    id: str
    document: str
    body_digest: str
    subject: str
    requested_at: int
    targets: str
    target_count: int
    parameters: str = "{}"
    max_concurrency: str = DEFAULT_CONCURRENCY
    max_errors: str = DEFAULT_ERRORS
    delivery_timeout: int = DELIVERY_TIMEOUT
    execution_timeout: int = 3600
    check: bool = False
    status: str = "Pending"
    details: str = "Pending"
    cancelled_by: str = ""
    finished_at: int = 0
    comment: str = ""
    reviewed: bool = False

    @property
    def final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True, slots=True)
class InvocationRow:
    """One node's part. `released_at` is when its job was given out, `accepted_at` when the node had it on disk.

    `report` is canonical JSON of what the node said last: reason, output, error, steps; `{}` before.
    """

    command_id: str
    node_id: str
    node_name: str
    job_id: str
    status: str = "Pending"
    details: str = "Pending"
    reason: str = ""
    released_at: int = 0
    accepted_at: int = 0
    finished_at: int = 0
    report: str = "{}"

    @property
    def final(self) -> bool:
        return self.status in FINAL

    @property
    def reported(self) -> bool:
        """Whether its end is the node's own word."""
        return self.report != "{}"
