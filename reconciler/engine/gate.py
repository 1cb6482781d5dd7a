"""The one gate: every effect passes here once, with its subject, and is let through, trimmed, or told to wait.

Rules, in order: access; suspension (a body held after failures, or by people); the removal brake; rate control in
waves, with a budget of its own for nodes that are offline, so that they never stall one. `explain` reads `Verdict`s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from reconciler.core import nodeset, rate
from reconciler.core.effect import Assign, Describe, Hold, Withdraw
from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.capabilities.nodes.association import AssociationSpec
    from reconciler.core.effect import Effect
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog

_Moving = TypeVar("_Moving", Assign, Withdraw)

Reach = Callable[[str, str], NodeSet]
"""(verb, kind) -> the nodes on which the subject may do it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why nodes do not get (or lose) an association now. `rule` is one word; `wait`: whether time alone helps."""

    uid: str
    nodes: NodeSet
    rule: str
    reason: str
    wait: bool


@dataclass(frozen=True, slots=True)
class Gated:
    """What may happen now, and what may not with the reason."""

    effects: tuple[Effect, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    removals: Mapping[str, int] = field(default_factory=dict)
    """Removals that the brake holds back: association uid -> nodes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the fleet's settings and this request allow."""

    removal_percent: int = 10
    allow_removals: int = 0


def gate(effects: Iterable[Effect], catalog: Catalog, world: World, reach: Reach, limits: Limits) -> Gated:
    """Judge effects of one plan together: the removal brake looks at the sum."""
    passed: list[Effect] = []
    verdicts: list[Verdict] = []
    listed = list(effects)
    braked = brake(listed, world, limits)
    for effect in listed:
        if isinstance(effect, Assign):
            allowed = _within_reach(effect, reach, verdicts)
            allowed = _not_held(allowed, world, verdicts)
            passed.extend(_waves(allowed, catalog, world, verdicts))
        elif isinstance(effect, Withdraw):
            if effect.uid in braked:
                verdicts.append(_braked(effect, world, limits))
            else:
                passed.append(_within_reach(effect, reach, verdicts))
        elif isinstance(effect, Describe):
            passed.append(_describe(effect, world, verdicts))
        else:
            passed.append(effect)
    return Gated(
        tuple(effect for effect in passed if not isinstance(effect, Assign | Withdraw | Describe) or effect.nodes),
        tuple(verdicts),
        braked,
    )


def brake(effects: Iterable[Effect], world: World, limits: Limits) -> dict[str, int]:
    """The removals that need `--allow-removals`: more than the percentage of an association's nodes, or all of them."""
    removals = {effect.uid: effect.nodes for effect in effects if isinstance(effect, Withdraw) and effect.nodes}
    if sum(nodeset.size(nodes) for nodes in removals.values()) <= limits.allow_removals:
        return {}
    found = {}
    for uid, nodes in removals.items():
        present = world.of(uid).anywhere
        if nodes == present or nodeset.size(nodes) * 100 > limits.removal_percent * nodeset.size(present):
            found[uid] = nodeset.size(nodes)
    return found


def suspended(world: World, uid: str, body_digest: str) -> str:
    """Why this body of the association goes no further; empty while it may."""
    release = world.releases.get(uid)
    return release.held_for if release and release.body_digest == body_digest else ""


def too_many_errors(spec: AssociationSpec, world: World, uid: str, body_digest: str, targets: int) -> Hold | None:
    """The Hold that stops a body which failed on more nodes than `maxErrors` lets it."""
    columns = world.of(uid)
    failed = nodeset.size(columns.failed & columns.on(body_digest))
    allowed = rate.errors(spec.max_errors, targets)
    if failed <= allowed or suspended(world, uid, body_digest):
        return None
    return Hold(uid, body_digest, f"failed on {failed} of {targets} nodes, maxErrors allows {allowed}")


def wave(nodes: NodeSet, under_way: NodeSet, online: NodeSet, limit: int) -> NodeSet:
    """The nodes that may start now. Offline ones count against a budget of the same size of their own."""
    chosen = EMPTY
    for side in (online, ~online):
        free = limit - nodeset.size(under_way & side)
        chosen |= nodeset.first(nodes & side, free)
    return chosen


def _within_reach(effect: _Moving, reach: Reach, verdicts: list[Verdict]) -> _Moving:
    allowed = reach("apply", "Association")
    outside = effect.nodes & ~allowed
    if outside:
        verdicts.append(Verdict(effect.uid, outside, "access", "the subject may not apply to these nodes", False))
    return replace(effect, nodes=effect.nodes & allowed)


def _not_held(effect: Assign, world: World, verdicts: list[Verdict]) -> Assign:
    reason = suspended(world, effect.uid, effect.body_digest)
    if not reason:
        return effect
    verdicts.append(Verdict(effect.uid, effect.nodes, "held", reason, False))
    return replace(effect, nodes=EMPTY)


def _waves(effect: Assign, catalog: Catalog, world: World, verdicts: list[Verdict]) -> list[Effect]:
    if not effect.nodes:
        return []
    spec: AssociationSpec = catalog.resources[effect.uid].spec
    columns = world.of(effect.uid)
    given = columns.on(effect.body_digest)
    targets = nodeset.size(given | effect.nodes)
    hold = too_many_errors(spec, world, effect.uid, effect.body_digest, targets)
    if hold is not None:
        verdicts.append(Verdict(effect.uid, effect.nodes, "maxErrors", hold.reason, False))
        return [hold]
    limit = rate.concurrency(spec.max_concurrency, targets)
    now = wave(effect.nodes, given & ~columns.reported, world.online, limit)
    later = effect.nodes & ~now
    if later:
        reason = f"maxConcurrency {spec.max_concurrency or rate.DEFAULT_CONCURRENCY}: {limit} of {targets} at once"
        verdicts.append(Verdict(effect.uid, later, "maxConcurrency", reason, True))
    return [replace(effect, nodes=now)]


def _describe(effect: Describe, world: World, verdicts: list[Verdict]) -> Describe:
    """Nodes that hold nothing yet get their context at once; the others in waves, as any change."""
    holding = EMPTY
    for columns in world.columns.values():
        holding |= columns.anywhere
    fresh = effect.nodes & ~holding
    limit = rate.concurrency(None, nodeset.size(holding))
    now = wave(effect.nodes & holding, world.unsettled, world.online, limit)
    later = effect.nodes & ~fresh & ~now
    if later:
        verdicts.append(Verdict("", later, "maxConcurrency", f"labels and vars reach {limit} nodes at once", True))
    return replace(effect, nodes=fresh | now)


def _braked(effect: Withdraw, world: World, limits: Limits) -> Verdict:
    present = nodeset.size(world.of(effect.uid).anywhere)
    reason = (
        f"would leave {nodeset.size(effect.nodes)} of its {present} nodes, over {limits.removal_percent} % or all of "
        f"them; apply with --allow-removals N to confirm"
    )
    return Verdict(effect.uid, effect.nodes, "removals", reason, False)
