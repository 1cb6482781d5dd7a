"""Rows: what the store keeps, one frozen value per kind of row, and the changes that one transaction makes.

Instants are Unix milliseconds. Nothing here names a bit position: ids cross this boundary, NodeSets do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.executions import EventRow, ExecutionRow

COMPLIANCES = ("UNKNOWN", "COMPLIANT", "NON_COMPLIANT")
FAILURES = frozenset({"Failed", "TimedOut", "Interrupted"})


@dataclass(frozen=True, slots=True)
class NodeRow:
    """An enrolled node. `labels` are the join token's; Git's are joined at load. `facts` is canonical JSON text.

    `unsettled`: it was given a new context while it had associations, and has not reported with it.
    """

    id: str
    name: str
    sign_key: str
    seal_key: str
    labels: Mapping[str, str]
    enrolled_at: int
    serial: int = 0
    context_digest: str = ""
    retired_at: int | None = None
    last_seen: int | None = None
    agent_version: str = ""
    platform: str = ""
    facts: str = "{}"
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """One (node, association): what it was given and what it last said of it.

    `status` and what follows are of the newest report on the given generation; `status` is empty before the first.
    """

    node_id: str
    uid: str
    generation: int
    body_digest: str
    given_at: int
    held: bool = False
    status: str = ""
    compliance: str = "UNKNOWN"
    drifted: bool = False
    seq: int = 0

    @property
    def reported(self) -> bool:
        """The node said something of this generation."""
        return self.status != ""

    @property
    def converged(self) -> bool:
        return self.compliance == "COMPLIANT"

    @property
    def failed(self) -> bool:
        """It tried and could not: what an error budget counts."""
        return self.status in FAILURES


@dataclass(frozen=True, slots=True)
class StateRow:
    """The state of one (node, association) for people, as compliance pages quote it: it changes at transitions only.

    `findings` is canonical JSON of the claim reports that are not as they should be, bounded.
    """

    node_id: str
    uid: str
    compliance: str
    status: str
    reason: str
    since: int
    commit: str
    generation: int
    findings: str = "[]"


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A released body of an association. `held_for` is why it goes no further.

    `tolerated` is how many nodes had failed when a person let it go on: they no longer count as errors.
    """

    uid: str
    generation: int
    body_digest: str
    commit: str
    released_at: int
    held_for: str = ""
    tolerated: int = 0


@dataclass(frozen=True, slots=True)
class LeaveRow:
    """What nodes may do alone with one association, as their sets say it; see the contract's `Assignment`."""

    uid: str
    permit: str = "none"
    splay: int = 0
    heals: int | None = None


@dataclass(frozen=True, slots=True)
class PermitRow:
    """The newest permit of one (node, association). `run_instant` is empty for the run that its generation has.

    `status` is what the node said of the run when it returned the permit, empty until then; at `expires_at` nobody
    waits for it any more.
    """

    node_id: str
    uid: str
    generation: int
    run_instant: str
    granted_at: int
    expires_at: int
    status: str = ""


@dataclass(frozen=True, slots=True)
class InventoryRow:
    """What a node collected about itself last, of one type. `content_hash` names the content, which is a body."""

    node_id: str
    type_name: str
    schema_version: str
    captured_at: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A join token: only the digest of its secret is kept. `used_key` is the sign key of the node that used it."""

    id: str
    secret_digest: str
    created_at: int
    expires_at: int
    created_by: str
    node_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    used_at: int | None = None
    used_key: str = ""
    node_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what to what, when, and how it ended; the row `before` an effect and the `outcome` after share `ref`.

    `number` is the store's, ascending within a fleet; 0 before the row is kept.
    """

    at: int
    subject: str
    verb: str
    object: str
    outcome: str
    ref: str = ""
    detail: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class EffectRow:
    """An effect in the outbox. `payload` is canonical JSON; done once `outcome` is set."""

    id: str
    kind: str
    payload: str
    cause_id: str
    subject: str
    created_at: int
    attempts: int = 0
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """These nodes are given this release (one statement for many nodes)."""

    uid: str
    generation: int
    body_digest: str
    node_ids: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """These nodes no longer have the association."""

    uid: str
    node_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything one cause changes, committed in one transaction with its effects and its audit rows.

    The serial of every node in `given`, `withdrawn`, `contexts`, `restated` and `retired` grows by one, once. What a
    change of an existing row leaves alone is said at each field; `at` is the cause's instant.
    """

    at: int = 0
    nodes: tuple[NodeRow, ...] = ()
    """New nodes, or what a known one says of itself: `serial`, `context_digest`, `enrolled_at`, `retired_at` and
    `unsettled` count for new ones only, and `last_seen` only grows. Names are unique but for retired nodes'."""
    releases: tuple[ReleaseRow, ...] = ()
    """A generation's body never changes; `held_for` and `tolerated` may."""
    bodies: Mapping[str, bytes] = field(default_factory=dict)
    """By digest, which is checked; one that is kept already is left."""
    given: tuple[Given, ...] = ()
    """Of generations that are released. Giving what a node already has keeps what it said of it."""
    withdrawn: tuple[Withdrawn, ...] = ()
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Node id -> digest of its new NodeContext (whose bytes are in `bodies`)."""
    unsettled: Mapping[str, bool] = field(default_factory=dict)
    """Node id -> whether it has yet to report with the context that it was given."""
    restated: tuple[str, ...] = ()
    """Node ids whose set changes in more than that: in the interval, or in what may be done alone."""
    leaves: tuple[LeaveRow, ...] = ()
    permits: tuple[PermitRow, ...] = ()
    """Each in place of any other of its node and association. They go when the association is withdrawn there."""
    reported: tuple[AssignmentRow, ...] = ()
    """Counts where the node still has that generation and `seq` is newer; it then also holds it. Else nothing happens.
    `body_digest` and `given_at` are not looked at."""
    held: tuple[tuple[str, str, str], ...] = ()
    """(node id, uid, body digest) that a node acknowledged."""
    states: tuple[StateRow, ...] = ()
    states_gone: tuple[tuple[str, str], ...] = ()
    inventory: tuple[InventoryRow, ...] = ()
    """Each in place of the one of its node and type."""
    retired: tuple[str, ...] = ()
    """Node ids, retired at `at`: their assignments, states and inventory go, their rows stay."""
    seen: Mapping[str, int] = field(default_factory=dict)
    """Node id -> Unix milliseconds; only grows."""
    tokens: tuple[TokenRow, ...] = ()
    """`Refused` where the token was used by another key before."""
    commands: tuple[CommandRow, ...] = ()
    """New ones, or what a known one has come to: its status, details, end, and who cancelled it."""
    invocations: tuple[InvocationRow, ...] = ()
    """Each in place of the one of the same job."""
    executions: tuple[ExecutionRow, ...] = ()
    """New ones, or what a known one has come to: its status, reason and end."""
    events: tuple[EventRow, ...] = ()
    """Of executions that there are; each is new, and follows the one before it."""
    effects: tuple[EffectRow, ...] = ()
    """New ones, or attempts and outcomes of known ones; an outcome stays."""
    audit: tuple[AuditRow, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """Single values by name: `revision`, `accessRevision`, ..."""
