"""Effects: what has to happen, as data. Capabilities return them, `gate` judges them, `execute` acts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical

if TYPE_CHECKING:
    from agent.contract.wire import ClaimReport
    from reconciler.core.nodeset import NodeSet


@dataclass(frozen=True, slots=True)
class Assign:
    """Give `nodes` the body. `body` is its canonical JSON, `commit` the revision it was compiled from."""

    uid: str
    nodes: NodeSet
    body: bytes
    body_digest: str
    commit: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the association away from `nodes`; the agent does what the body's `onRemove` says."""

    uid: str
    nodes: NodeSet


@dataclass(frozen=True, slots=True)
class Describe:
    """Give `nodes` the NodeContext that Git now asks for: templates on them render anew."""

    nodes: NodeSet


@dataclass(frozen=True, slots=True)
class Record:
    """A transition of one node's state under one association, as history and compliance keep it."""

    uid: str
    node_id: str
    generation: int
    compliance: str
    status: str
    reason: str
    since: int
    findings: tuple[ClaimReport, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop giving out this generation, and say why; people see it until a newer commit or a release."""

    uid: str
    body_digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Give out a held body again: a person looked and decided."""

    uid: str
    body_digest: str


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Run the body once on `nodes`, as many at once and for as long as the limits say: a command.

    `body` is its canonical JSON, `parameters` that of what it was made with; `targets` is what was asked for, as text.
    `check`: nodes only say what they would do. `delivery_timeout` is in seconds; `comment` is why, in the
    words of who asked; `reviewed` is whether the document stands in the repository, not brought along by who asked.
    """

    document: str
    nodes: NodeSet
    body: bytes
    targets: str = ""
    parameters: str = "{}"
    max_concurrency: str = "50"
    max_errors: str = "0"
    delivery_timeout: int = 3600
    check: bool = False
    comment: str = ""
    reviewed: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """End a command before its time."""

    command_id: str


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell people. `subject` is one line."""

    subject: str
    text: str
    severity: str = "info"


@dataclass(frozen=True, slots=True)
class Propose:
    """A commit for people to merge, on a branch named after the effect: `paths` as the release before had them."""

    uid: str
    title: str
    generation: int
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wake:
    """Look at this resource again at this instant (Unix milliseconds)."""

    uid: str
    at: int


Effect = Assign | Withdraw | Describe | Record | Hold | Resume | Dispatch | Cancel | Notify | Propose | Wake


@dataclass(frozen=True, slots=True)
class Cause:
    """Why effects came about: an id drawn by the adapter that received the event, its instant, who was behind it."""

    id: str
    at: int
    subject: str
    text: str = ""


def effect_id(fleet_id: str, uid: str, generation: int, cause_id: str, ordinal: int) -> str:
    """SHA-256, lower hex, of canonical `[fleetId, uid, generation, causeId, ordinal]`; ports are idempotent on it."""
    return hashlib.sha256(canonical([fleet_id, uid, generation, cause_id, ordinal])).hexdigest()


def job_id(at: int, effect: str) -> str:
    """A UUIDv7 of the cause's instant whose random bits are the first of the effect's hash."""
    noise = int(effect[:19], 16) >> 2
    value = (at & (1 << 48) - 1) << 80 | 7 << 76 | (noise >> 62) << 64 | 2 << 62 | noise & (1 << 62) - 1
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
