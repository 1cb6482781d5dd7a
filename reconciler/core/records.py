"""Rows: what the store keeps, one frozen value per kind of row, and the changes that one transaction makes.

Instants are Unix milliseconds. Nothing here names a bit position: ids cross this boundary, NodeSets do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class NodeRow:
    """An enrolled node. `labels` are the join token's; Git's are joined at load. `facts` is canonical JSON text."""

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


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """One (node, association): what it was given and what it last said of it.

    `reported_*` describe the newest report on the given generation; `status` is empty before the first.
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
    """A released body of an association. `held_for` is why it goes no further."""

    uid: str
    generation: int
    body_digest: str
    commit: str
    released_at: int
    held_for: str = ""


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
    """Who did what to what, when, and how it ended; the row `before` an effect and the `outcome` after share `ref`."""

    at: int
    subject: str
    verb: str
    object: str
    outcome: str
    ref: str = ""
    detail: str = ""


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

    The serial of every node in `given`, `withdrawn`, `contexts` and `retired` grows by one, once.
    """

    nodes: tuple[NodeRow, ...] = ()
    releases: tuple[ReleaseRow, ...] = ()
    bodies: Mapping[str, bytes] = field(default_factory=dict)
    given: tuple[Given, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Node id -> digest of its new NodeContext (whose bytes are in `bodies`)."""
    reported: tuple[AssignmentRow, ...] = ()
    held: tuple[tuple[str, str, str], ...] = ()
    """(node id, uid, body digest) that a node acknowledged."""
    states: tuple[StateRow, ...] = ()
    states_gone: tuple[tuple[str, str], ...] = ()
    retired: tuple[str, ...] = ()
    seen: Mapping[str, int] = field(default_factory=dict)
    tokens: tuple[TokenRow, ...] = ()
    effects: tuple[EffectRow, ...] = ()
    audit: tuple[AuditRow, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """Single values by name: `revision`, `accessRevision`, ..."""
