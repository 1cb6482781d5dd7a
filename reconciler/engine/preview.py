"""Preview: a Plan as people and programs read it (`opsctl.plan/v1`), equal changes grouped, nodes named.

It shows what the gate lets through now, what waits and for what, and what stands in the way. Nodes that are offline are
listed as unknown: what they are is not known, only what they were given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from agent.contract.canonical import canonical, digest_of
from agent.contract.codec import from_wire
from agent.contract.wire import Body
from reconciler.core import nodeset
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.nodeset import NodeSet
from reconciler.engine.contexts import context_of
from reconciler.engine.difference import ClaimChange, Contents, context_names, difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.problem import Finding, Place
    from reconciler.core.world import NodeEntry, World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Gated
    from reconciler.engine.plan import Plan

FORMAT: Literal["opsctl.plan/v1"] = "opsctl.plan/v1"
Action = Literal["Assign", "Remove", "Describe"]
CONTEXTS_RENDERED = 64
"""Distinct contexts that one template is rendered for; beyond them its source is compared."""

Bodies = Callable[[str], bytes | None]
"""Digest -> bytes of a body or node context that some node was given."""


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
    return digest_of([action, uid, to_digest])


def read_context(data: bytes) -> dict[str, Any]:
    """What templates read of a NodeContext, from its canonical JSON."""
    value = json.loads(data)
    return {"name": value["name"], "labels": value.get("labels", {}), "vars": value.get("vars", {})}


def context_digest(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What a saved plan binds of new labels and vars: by how much they differ, equal for all nodes of a group."""
    parts = ([part, before[part], after[part]] for part in ("labels", "vars"))
    return digest_of(
        [
            [part, key, [old[key]] if key in old else [], [new[key]] if key in new else []]
            for part, old, new in parts
            for key in sorted(old.keys() | new.keys())
            if old.get(key, _UNSET) != new.get(key, _UNSET)
        ]
    )


_UNSET = object()


def preview(
    plan: Plan, gated: Gated, catalog: Catalog, world: World, bodies: Bodies, contents: Contents, *, live: bool
) -> PlanView:
    """The whole plan. `live` tells whether World is a server's; otherwise every node is unknown."""
    painter = _Painter(plan, catalog, world, bodies, contents, live=live)
    changes = [change for effect in plan.effects for change in painter.changes(effect)]
    names = plan.nodes.names
    return PlanView(
        format=FORMAT,
        commit=plan.commit,
        base=plan.base or "",
        sequence=plan.sequence,
        live=live,
        summary=_summary(plan, gated, world),
        changes=changes,
        waiting=[
            WaitView(uid=verdict.uid, rule=verdict.rule, reason=verdict.reason, nodes=names(verdict.nodes))
            for verdict in gated.verdicts
        ],
        conflicts=[
            ConflictView(
                owned=conflict.owned,
                one=ClaimantView(uid=conflict.one.uid, place=str(conflict.one.place)),
                other=ClaimantView(uid=conflict.other.uid, place=str(conflict.other.place)),
                nodes=names(conflict.nodes),
            )
            for conflict in plan.conflicts
        ],
        warnings=[str(finding) for finding in (*plan.warnings, *catalog.warnings)],
        errors=[str(finding) for finding in _errors(catalog)],
        standing=[
            StandingView(uid=uid, failed=names(columns.failed), drifted=names(columns.drifted))
            for uid, columns in sorted(world.columns.items())
            if columns.failed | columns.drifted
        ],
        notEnrolled=list(plan.not_enrolled),
    )


def _errors(catalog: Catalog) -> list[Finding]:
    return [finding for condition in catalog.conditions for finding in condition.findings]


def _summary(plan: Plan, gated: Gated, world: World) -> SummaryView:
    assigned = sum(nodeset.size(effect.nodes) for effect in plan.effects if isinstance(effect, Assign))
    removed = sum(nodeset.size(effect.nodes) for effect in plan.effects if isinstance(effect, Withdraw))
    described = sum(nodeset.size(effect.nodes) for effect in plan.effects if isinstance(effect, Describe))
    return SummaryView(
        nodes=nodeset.size(plan.nodes.everyone),
        online=nodeset.size(world.online),
        associations=len(plan.targets),
        assign=assigned,
        remove=removed,
        describe=described,
        conflicts=len(plan.conflicts),
        waiting=sum(nodeset.size(verdict.nodes) for verdict in gated.verdicts),
    )


class _Painter:
    """Draws effects as groups of equal changes; every body is parsed and every template rendered once."""

    def __init__(
        self, plan: Plan, catalog: Catalog, world: World, bodies: Bodies, contents: Contents, *, live: bool
    ) -> None:
        self._plan, self._catalog, self._world = plan, catalog, world
        self._bodies, self._contents, self._live = bodies, contents, live
        self._parsed: dict[str, Body | None] = {}

    def changes(self, effect: object) -> Iterator[ChangeView]:
        if isinstance(effect, Assign):
            yield from self._assign(effect)
        elif isinstance(effect, Withdraw):
            yield from self._withdraw(effect)
        elif isinstance(effect, Describe):
            yield from self._describe(effect)

    def _assign(self, effect: Assign) -> Iterator[ChangeView]:
        new = self._parse(effect.body_digest, effect.body)
        remaining = effect.nodes
        for old_digest, held in self._world.of(effect.uid).given.items():
            nodes = held & remaining
            if nodes:
                remaining &= ~nodes
                yield from self._group(effect.uid, old_digest, effect.body_digest, effect.commit, nodes, new)
        if remaining:
            yield from self._group(effect.uid, "", effect.body_digest, effect.commit, remaining, new)

    def _withdraw(self, effect: Withdraw) -> Iterator[ChangeView]:
        for old_digest, held in self._world.of(effect.uid).given.items():
            if nodes := held & effect.nodes:
                yield from self._group(effect.uid, old_digest, "", "", nodes, None)

    def _group(
        self, uid: str, old_digest: str, new_digest: str, commit: str, nodes: NodeSet, new: Body | None
    ) -> Iterator[ChangeView]:
        old = self._parse(old_digest) if old_digest else None
        for part, claims in self._by_context(old, new, nodes):
            yield self._view(
                "Assign" if new is not None else "Remove", uid, old_digest, new_digest, commit, part, claims
            )

    def _describe(self, effect: Describe) -> Iterator[ChangeView]:
        """Nodes whose labels or vars change, one group per equal difference; templates that follow from it shown."""
        groups: dict[bytes, tuple[list[int], str, list[ClaimView]]] = {}
        for bit in nodeset.positions(effect.nodes):
            entry = self._plan.nodes.entries[bit]
            if entry is None:
                continue
            before, after = self._context(entry.context_digest), self._context("", entry)
            if not before:
                continue
            claims = [self._claim("", change) for change in _context_changes(before, after)]
            claims += self._rerendered(1 << bit, before, after)
            to_digest = context_digest(before, after)
            key = canonical([to_digest, *(dict(claim) for claim in claims)])
            groups.setdefault(key, ([], to_digest, claims))[0].append(bit)
        for bits, to_digest, claims in groups.values():
            yield self._view("Describe", "", "", to_digest, self._plan.commit, nodeset.of(bits), claims)

    def _rerendered(self, node: NodeSet, before: dict[str, Any], after: dict[str, Any]) -> list[ClaimView]:
        claims = []
        for uid, columns in self._world.columns.items():
            for digest_, held in columns.given.items():
                if not held & node:
                    continue
                body = self._parse(digest_)
                if body is not None and any(step.inputs.get("template") is True for step in body.steps):
                    found = difference(body, body, self._contents, before, after)
                    claims += [self._claim(uid, change) for change in found]
        return claims

    def _by_context(
        self, old: Body | None, new: Body | None, nodes: NodeSet
    ) -> Iterator[tuple[NodeSet, list[ClaimView]]]:
        uid = (new or old).uid if (new or old) is not None else ""  # type: ignore[union-attr]
        used = context_names(new, self._contents) if new is not None else set()
        parts = self._distinct(nodes, used) if used else None
        if parts is None:
            found = difference(old, new, self._contents)
            yield nodes, [self._claim(uid, change) for change in found]
            return
        merged: dict[tuple[ClaimChange, ...], NodeSet] = {}
        for part, entry in parts:
            after = self._context("", entry)
            before = self._context(entry.context_digest) or after
            found = difference(old, new, self._contents, before, after)
            merged[found] = merged.get(found, 0) | part
        for found, part in merged.items():
            yield part, [self._claim(uid, change) for change in found]

    def _distinct(self, nodes: NodeSet, used: set[str]) -> list[tuple[NodeSet, NodeEntry]] | None:
        """Nodes by what their context says under the names used; None past the bound."""
        seen: dict[bytes, tuple[list[int], NodeEntry]] = {}
        for bit in nodeset.positions(nodes):
            entry = self._plan.nodes.entries[bit]
            if entry is None:
                continue
            context = self._context("", entry)
            key = canonical({name: context[name] for name in used}) + entry.context_digest.encode() * bool(used)
            seen.setdefault(key, ([], entry))[0].append(bit)
            if len(seen) > CONTEXTS_RENDERED:
                return None
        return [(nodeset.of(bits), entry) for bits, entry in seen.values()]

    def _context(self, digest_: str, entry: NodeEntry | None = None) -> dict[str, Any]:
        """What templates read: of a context that was given (empty where it is not at hand), or of Git's for a node."""
        data = context_of(entry, self._catalog) if entry is not None else self._bodies(digest_) if digest_ else None
        return read_context(data) if data is not None else {}

    def _parse(self, digest_: str, data: bytes | None = None) -> Body | None:
        if digest_ not in self._parsed:
            raw = data if data is not None else self._bodies(digest_)
            self._parsed[digest_] = from_wire(Body, json.loads(raw)) if raw is not None else None
        return self._parsed[digest_]

    def _view(
        self, action: Action, uid: str, old: str, new: str, commit: str, nodes: NodeSet, claims: list[ClaimView]
    ) -> ChangeView:
        unknown = nodes & ~self._world.online if self._live else nodes
        rows = self._plan.nodes
        return ChangeView(
            action=action,
            uid=uid,
            actionDigest=action_digest(action, uid, new),
            fromDigest=old,
            toDigest=new,
            commit=commit,
            nodes=dict(zip(rows.ids(nodes), rows.names(nodes), strict=True)),
            unknown=rows.names(unknown),
            claims=claims,
        )

    def _claim(self, uid: str, change: ClaimChange) -> ClaimView:
        place = self._place(uid, change)
        return ClaimView(
            claim=change.claim,
            sign=change.sign,
            step=change.step,
            place=str(place) if place else "",
            detail=list(change.detail),
            diff=change.diff,
            note=change.note,
        )

    def _place(self, uid: str, change: ClaimChange) -> Place | None:
        compiled = self._catalog.compiled.get(uid)
        for placed in compiled.claims if compiled else ():
            if str(placed.claim) == change.claim or placed.step == change.step:
                return placed.place
        return None


def _context_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ClaimChange]:
    for part in ("labels", "vars"):
        old, new = before[part], after[part]
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                sign = "+" if key not in old else "-" if key not in new else "~"
                detail = f"{old.get(key, '(unset)')} -> {new.get(key, '(unset)')}"
                yield ClaimChange(f"{part}:{key}", sign, "", (detail,))
