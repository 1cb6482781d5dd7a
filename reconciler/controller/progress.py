"""How far an apply has come, counted in pairs of node and association."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.controller.binding import removals_of
from reconciler.core import nodeset
from reconciler.core.effect import Assign
from reconciler.core.nodeset import EMPTY
from reconciler.engine import gate as gating

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Mapping

    from reconciler.controller.state import State
    from reconciler.core.effect import Cause
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Gated
    from reconciler.engine.plan import Plan

APPLIES_REMEMBERED = 50
NAMES_SHOWN = 20
COUNTED = ("total", "done", "failed", "drifted", "running", "waiting", "offline", "held")

Pairs = dict[tuple[str, str], "NodeSet"]
"""(association uid, body digest) -> nodes."""


@dataclass(frozen=True, slots=True)
class Apply:
    """One request to apply. `pairs` is what is followed, `dropped` what its saved plan had and needs no more.

    `visits` are the names of nodes that are visited for it. Nodes at bits from `known` on enrolled in the meantime:
    of those that are visited, what they are given is followed too.
    """

    id: str
    subject: str
    commit: str
    at: int
    pairs: Pairs
    removals: int
    dropped: list[str] = field(default_factory=list)
    visits: frozenset[str] = frozenset()
    known: int = 0


def apply_of(plan: Plan, catalog: Catalog, world: World, cause: Cause, dropped: list[str]) -> Apply:
    """The apply of a plan.

    It follows what the plan gives; what its commit has brought already, for under `sync: auto` a commit is on its way
    before anybody applies it; and whatever else is still unanswered.
    """
    pairs = _given_by(plan)
    for uid, compiled in catalog.compiled.items():
        columns, release = world.of(uid), world.releases.get(uid)
        nodes = columns.on(compiled.body_digest)
        if release is None or release.commit != catalog.commit:
            nodes &= ~columns.reported
        if nodes:
            pair = (uid, compiled.body_digest)
            pairs[pair] = pairs.get(pair, EMPTY) | nodes
    return Apply(cause.id, cause.subject, plan.commit, cause.at, pairs, removals_of(plan), dropped)


def remember(applies: OrderedDict[str, Apply], apply: Apply) -> None:
    """Keep it for those who follow it, in the place of the oldest."""
    applies[apply.id] = apply
    while len(applies) > APPLIES_REMEMBERED:
        applies.popitem(last=False)


def progress(state: State, apply: Apply) -> dict[str, Any]:
    """`finished` says that nothing online is left to answer: offline nodes get theirs when they are back.

    What is held waits for a person, or for the end of a freeze, and what another commit has overtaken is no longer this
    apply's. Pairs that are asked for no more (a node has left, or something contests it) are left out.
    """
    world, plan, gated = state.world, state.plan, state.gated
    asked = _given_by(plan) if plan is not None else apply.pairs
    frozen = gated is not None and bool(gated.frozen)
    rows = []
    totals = dict.fromkeys(COUNTED, 0)
    visiting = apply.visits & state.calling
    reachable = world.online | world.nodes.listed(visiting)
    for (uid, body_digest), nodes in sorted(_followed(state, apply).items()):
        wanted = asked.get((uid, body_digest), EMPTY)
        counts, failed = _count(world, reachable, uid, body_digest, nodes, wanted, frozen=frozen)
        rows.append({"uid": uid, **counts, "failedNodes": world.nodes.names(nodeset.first(failed, NAMES_SHOWN))})
        for key, value in counts.items():
            totals[key] += value
    superseded = world.revision != apply.commit
    return {
        "apply": apply.id,
        "commit": apply.commit,
        "subject": apply.subject,
        "at": apply.at,
        "removals": apply.removals,
        "dropped": apply.dropped,
        "superseded": superseded,
        "finished": superseded or not (totals["running"] or totals["waiting"] or visiting),
        "visiting": len(visiting),
        "unreached": len(apply.visits & state.unreached.keys() - visiting),
        **totals,
        "associations": rows,
        "waits": waits(gated),
    }


def waits(gated: Gated | None) -> list[dict[str, Any]]:
    """What the gate let wait in the last round: how many nodes, and for what."""
    return [
        {"uid": verdict.uid, "rule": verdict.rule, "reason": verdict.reason, "nodes": nodeset.size(verdict.nodes)}
        for verdict in (gated.verdicts if gated is not None else ())
    ]


def _followed(state: State, apply: Apply) -> Pairs:
    """The pairs of an apply, with those of nodes that were visited for it and enrolled only then."""
    world, plan, catalog = state.world, state.plan, state.catalog
    fresh = world.nodes.listed(apply.visits) >> apply.known << apply.known
    if not fresh or plan is None or catalog is None or catalog.commit != apply.commit:
        return apply.pairs
    pairs = dict(apply.pairs)
    for uid, targets in plan.targets.items():
        if (new := targets & fresh) and uid in catalog.compiled:
            pair = (uid, catalog.compiled[uid].body_digest)
            pairs[pair] = pairs.get(pair, EMPTY) | new
    return pairs


def _given_by(plan: Plan) -> Pairs:
    return {(effect.uid, effect.body_digest): effect.nodes for effect in plan.effects if isinstance(effect, Assign)}


def _count(
    world: World, reachable: NodeSet, uid: str, body_digest: str, nodes: NodeSet, asked: NodeSet, *, frozen: bool
) -> tuple[Mapping[str, int], NodeSet]:
    """What became of these nodes, and which of them failed. `asked` are those that the last plan still wants it on."""
    columns = world.of(uid)
    given = columns.on(body_digest) & nodes
    nodes &= given | asked
    reported = given & columns.reported
    held = nodes & ~given if frozen or gating.suspended(world, uid, body_digest) else EMPTY
    outstanding = nodes & ~reported & ~held
    failed = reported & columns.failed
    found = (
        nodes,
        reported & ~columns.failed,
        failed,
        reported & columns.drifted,
        outstanding & given & reachable,
        outstanding & ~given & reachable,
        outstanding & ~reachable,
        held,
    )
    return dict(zip(COUNTED, map(nodeset.size, found), strict=True)), failed
