"""Views: the document of a plan (`opsctl.plan/v1`) as programs read it, and as a saved plan keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from typing_extensions import TypedDict

from agent.contract.canonical import canonical, digest, digest_of
from reconciler.core.jsontext import json_of

FORMAT: Literal["opsctl.plan/v1"] = "opsctl.plan/v1"

Action = Literal["Assign", "Remove", "Describe"]


class ClaimView(TypedDict):
    """One claim that a change touches, and the file:line in the repository that asks for it.

    `sign` is `+` (new), `~` (other than before) or `-` (asked for no more); `detail` are attributes as
    `mode: 0644 -> 0600`; `diff` is a unified diff of file content, empty where there is none to show.
    """

    claim: str
    sign: str
    step: str
    place: str
    detail: list[str]
    diff: str
    note: str


class ChangeView(TypedDict):
    """One action on a group of nodes, all of which it changes alike.

    `nodes` maps id -> name; `unknown` are the names of those that are not connected. `uid` is the association, empty
    for `Describe`, which gives nodes new labels and vars. `actionDigest` is what a saved plan binds.
    """

    action: Action
    uid: str
    actionDigest: str
    fromDigest: str
    toDigest: str
    commit: str
    nodes: dict[str, str]
    unknown: list[str]
    claims: list[ClaimView]


class WaitView(TypedDict):
    """Nodes that do not get it now: the rule that holds it and its reason."""

    uid: str
    rule: str
    reason: str
    nodes: list[str]


class ClaimantView(TypedDict):
    """One side of a conflict: an association, and the file:line that claims the thing."""

    uid: str
    place: str


class ConflictView(TypedDict):
    """Two associations that claim one thing (`owned`) on the same nodes; neither is newly given there."""

    owned: str
    one: ClaimantView
    other: ClaimantView
    nodes: list[str]


class StandingView(TypedDict):
    """Nodes that have an association and are not as it says, by their own last word."""

    uid: str
    failed: list[str]
    drifted: list[str]


class SummaryView(TypedDict):
    """The plan in numbers: nodes and associations there are, pairs of both by what is to happen to them."""

    nodes: int
    online: int
    associations: int
    assign: int
    remove: int
    describe: int
    conflicts: int
    waiting: int


class PlanView(TypedDict):
    """A whole plan: what `commit` would change on a fleet that is at `base`.

    `live` says whether a server was asked what nodes hold; otherwise Git was compared with Git and every node is
    unknown. `errors` and `warnings` begin with file:line:column. `standing` are nodes that are not as they should be,
    whatever this plan does.
    """

    format: Literal["opsctl.plan/v1"]
    commit: str
    base: str
    sequence: int
    live: bool
    summary: SummaryView
    changes: list[ChangeView]
    waiting: list[WaitView]
    conflicts: list[ConflictView]
    warnings: list[str]
    errors: list[str]
    standing: list[StandingView]
    notEnrolled: list[str]


def action_digest(action: str, uid: str, to_digest: str) -> str:
    """What a saved plan binds per group: the action, the association, the body or `context_digest`."""
    return digest(
        b'["%b",%b,"%b"]' % (action.encode(), json_of(uid), to_digest.encode())
    )  # canonical JSON of the three


Context = Mapping[str, Any]
"""What templates read of a NodeContext: `name`, `labels`, `vars`."""


def read_context(data: bytes) -> Context:
    """A NodeContext from its canonical JSON."""
    value = json.loads(data)
    return {"name": value["name"], "labels": value.get("labels", {}), "vars": value.get("vars", {})}


class Moved(NamedTuple):
    """A label or var (by `part`) of a node that changes: its values as canonical JSON, None where there is none."""

    part: str
    key: str
    old: str | None
    new: str | None


def moved(before: Context, after: Context) -> tuple[Moved, ...]:
    """By how much two contexts differ, the node's own name aside."""
    return tuple(
        Moved(part, key, _text(before[part], key), _text(after[part], key))
        for part in ("labels", "vars")
        if before[part] is not after[part]
        for key in sorted(before[part].keys() | after[part].keys())
        if _differs(before[part], after[part], key)
    )


def context_digest(before: Context, after: Context) -> str:
    """What a saved plan binds of new labels and vars: by how much they differ, equal for all nodes of a group."""
    return digest_of([*moved(before, after)])


def _differs(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> bool:
    old, new = one.get(key), other.get(key)
    if isinstance(old, str) and isinstance(new, str):
        return old != new
    return _text(one, key) != _text(other, key)


def _text(values: Mapping[str, Any], key: str) -> str | None:
    return canonical(values[key]).decode() if key in values else None
