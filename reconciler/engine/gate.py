"""The one gate: every effect passes here once, with its subject, and is let through, trimmed, or told to wait.

Rules, in order: freeze; what a node that keeps nothing between two visits cannot do; access; suspension (a body held
after failures, or by people); the removal brake; rate control in waves, in which nodes that are offline come last and
stall nobody; handover of what another association still owns on a node. `explain` reads `Verdict`s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.contract import ephemeral
from reconciler.core import nodeset, rate
from reconciler.core.effect import Assign, Describe, Hold, Withdraw
from reconciler.core.nodeset import EMPTY, NodeSet, without
from reconciler.engine import handover
from reconciler.engine.memory import Recall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.capabilities.nodes.association import AssociationSpec
    from reconciler.core.effect import Effect
    from reconciler.core.world import Columns, World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.handover import Obstacle
    from reconciler.engine.memory import Memory, Parts

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
class Judged:
    """What becomes of one effect: the nodes it reaches now, why not the others, and what it is stopped by."""

    nodes: NodeSet
    verdicts: tuple[Verdict, ...] = ()
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """The nodes that an association is taken from, counted. `heavy`: more than may go without being named."""

    nodes: int
    heavy: bool


@dataclass(frozen=True, slots=True)
class GateMemory:
    """What a judgement keeps for the one after it."""

    judged: Memory[Judged] = field(default_factory=dict)
    removals: Memory[Removal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gated:
    """What may happen now, and what may not with the reason. `memory` serves the next judgement."""

    effects: tuple[Effect, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    removals: Mapping[str, int] = field(default_factory=dict)
    """Removals that the brake holds back: association uid -> nodes."""
    frozen: str = ""
    """Why nothing may change anywhere; empty where it may."""
    memory: GateMemory = field(default_factory=GateMemory, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the fleet's settings and this request allow."""

    removal_percent: int = 10
    allow_removals: int = 0
    frozen: str = ""
    """Why nothing may change anywhere; empty where it may."""


def gate(
    effects: Iterable[Effect],
    catalog: Catalog,
    world: World,
    reach: Reach,
    limits: Limits,
    previous: Gated | None = None,
    obstacles: Sequence[Obstacle] = (),
) -> Gated:
    """Judge effects of one plan together: the removal brake looks at the sum, and handovers at who else moves.

    `previous` is any earlier judgement: with it only what differs is weighed again, and the result is the same.
    `obstacles` are what stands in the way of these effects.
    """
    memory = previous.memory if previous is not None else GateMemory()
    listed = tuple(effects)
    counting = Recall(memory.removals)
    braked = _brake(listed, world, limits, counting)
    if limits.frozen:
        return _frozen(listed, limits.frozen, braked, memory)
    in_the_way = handover.obstructed(obstacles)
    forgetful = world.nodes.listed(catalog.declared.ephemeral)
    court = _Court(
        catalog, world, reach("apply", "Association"), limits, braked, in_the_way, forgetful, Recall(memory.judged)
    )
    passed: list[Effect] = []
    verdicts: list[Verdict] = []
    for effect in listed:
        if not isinstance(effect, Assign | Withdraw | Describe):
            passed.append(effect)
            continue
        judged = court.judged(effect)
        verdicts += judged.verdicts
        if judged.hold is not None:
            passed.append(judged.hold)
        if judged.nodes:
            passed.append(effect if judged.nodes == effect.nodes else replace(effect, nodes=judged.nodes))
    if obstacles:
        passed = _handed_over(passed, obstacles, verdicts)
    return Gated(tuple(passed), tuple(verdicts), braked, memory=GateMemory(court.judging.memory, counting.memory))


def _frozen(listed: Iterable[Effect], reason: str, braked: Mapping[str, int], memory: GateMemory) -> Gated:
    """Nothing reaches a node: everything that would waits for the end of the freeze."""
    passed, verdicts = [], []
    for effect in listed:
        if isinstance(effect, Assign | Withdraw | Describe):
            uid = "" if isinstance(effect, Describe) else effect.uid
            verdicts.append(Verdict(uid, effect.nodes, "freeze", reason, True))
        else:
            passed.append(effect)
    return Gated(tuple(passed), tuple(verdicts), braked, reason, memory)


def _handed_over(passed: list[Effect], obstacles: Sequence[Obstacle], verdicts: list[Verdict]) -> list[Effect]:
    """Effects without the nodes on which something has to be let go of first."""
    blocked: dict[str, NodeSet] = {}
    for obstacle in handover.waiting(passed, obstacles):
        blocked[obstacle.uid] = blocked.get(obstacle.uid, EMPTY) | obstacle.nodes
        reason = f"{obstacle.by} still owns {obstacle.owned} there"
        verdicts.append(Verdict(obstacle.uid, obstacle.nodes, "handover", reason, True))
    left = (
        replace(effect, nodes=without(effect.nodes, blocked[effect.uid]))
        if isinstance(effect, Assign) and effect.uid in blocked
        else effect
        for effect in passed
    )
    return [effect for effect in left if not isinstance(effect, Assign) or effect.nodes]


def brake(effects: Iterable[Effect], world: World, limits: Limits) -> dict[str, int]:
    """The removals that need `--allow-removals`: more than the percentage of an association's nodes, or all of them."""
    return _brake(effects, world, limits, Recall({}))


def _brake(effects: Iterable[Effect], world: World, limits: Limits, counting: Recall[Removal]) -> dict[str, int]:
    removals = {}
    for effect in effects:
        if isinstance(effect, Withdraw) and effect.nodes:
            columns = world.of(effect.uid)
            parts = (effect.nodes, columns, limits.removal_percent)
            removals[effect.uid] = counting(effect.uid, parts, _removal, *parts)
    if sum(removal.nodes for removal in removals.values()) <= limits.allow_removals:
        return {}
    return {uid: removal.nodes for uid, removal in removals.items() if removal.heavy}


def _removal(nodes: NodeSet, columns: Columns, percent: int) -> Removal:
    present = columns.anywhere
    leaving = nodeset.size(nodes)
    return Removal(leaving, nodes == present or leaving * 100 > percent * nodeset.size(present))


def suspended(world: World, uid: str, body_digest: str) -> str:
    """Why this body of the association goes no further; empty while it may."""
    release = world.releases.get(uid)
    return release.held_for if release and release.body_digest == body_digest else ""


def too_many_errors(spec: AssociationSpec, world: World, uid: str, body_digest: str, targets: int) -> Hold | None:
    """The Hold that stops a body which failed on more nodes than `maxErrors` lets it."""
    columns, release = world.of(uid), world.releases.get(uid)
    failed = nodeset.size(columns.failed & columns.on(body_digest))
    allowed = rate.errors(spec.max_errors, targets)
    tolerated = release.tolerated if release is not None and release.body_digest == body_digest else 0
    if failed <= allowed + tolerated or suspended(world, uid, body_digest):
        return None
    beyond = f" beyond the {tolerated} it was let go on with" if tolerated else ""
    return Hold(uid, body_digest, f"failed on {failed} of {targets} nodes, maxErrors allows {allowed}{beyond}")


def wave(nodes: NodeSet, in_flight: NodeSet, away: NodeSet, online: NodeSet, limit: int) -> NodeSet:
    """The nodes that may start now: online ones up to the limit, offline ones from what these leave over.

    `in_flight` were given it and have not answered; who received it and went silent is among them, since it may be what
    silenced them. `away` were given it while they were offline: they stall nobody, and return to a budget of their own.
    Whoever is offline comes last, lest a restart, when everybody is for a moment, lets a change through to all.
    """
    if not in_flight and not away and nodeset.size(nodes) <= limit:
        return nodes
    free = limit - nodeset.size(in_flight)
    now = nodeset.first(nodes & online, free)
    return now | nodeset.first(without(nodes, online), free - nodeset.size(now) - nodeset.size(away))


@dataclass(frozen=True, slots=True)
class _Court:
    """Judges the effects of one plan, one by one; `allowed` are the nodes that the subject may apply to."""

    catalog: Catalog
    world: World
    allowed: NodeSet
    limits: Limits
    braked: Mapping[str, int]
    obstructed: Mapping[str, NodeSet]
    ephemeral: NodeSet
    judging: Recall[Judged]

    def judged(self, effect: Assign | Withdraw | Describe) -> Judged:
        world = self.world
        parts: Parts
        if isinstance(effect, Assign):
            spec: AssociationSpec = self.catalog.resources[effect.uid].spec
            rates = (spec.max_concurrency, spec.max_errors)
            known = (world.of(effect.uid), world.releases.get(effect.uid), world.online)
            obstructed = self.obstructed.get(effect.uid, EMPTY)
            parts = (effect.nodes, effect.body_digest, self.allowed, obstructed, self.ephemeral, *rates, *known)
            return self.judging(("Assign", effect.uid), parts, self._assign, effect, spec)
        if isinstance(effect, Withdraw):
            parts = (effect.nodes, self.allowed, effect.uid in self.braked, self.limits, world.of(effect.uid))
            return self.judging(("Withdraw", effect.uid), parts, self._withdraw, effect)
        parts = (effect.nodes, world.columns, world.unsettled, world.online)
        return self.judging("Describe", parts, self._describe, effect)

    def _assign(self, effect: Assign, spec: AssociationSpec) -> Judged:
        nodes, verdicts = self._within_reach(effect)
        if forgetful := nodes & self.ephemeral:
            refused = ephemeral.refusal(json.loads(effect.body))
            if refused:
                nodes &= ~forgetful
                verdicts += (Verdict(effect.uid, forgetful, "ephemeral", refused, False),)
        if not nodes:
            return Judged(EMPTY, verdicts)
        if held_for := suspended(self.world, effect.uid, effect.body_digest):
            return Judged(EMPTY, (*verdicts, Verdict(effect.uid, nodes, "held", held_for, False)))
        columns = self.world.of(effect.uid)
        given = columns.on(effect.body_digest)
        targets = nodeset.size(given | nodes)
        hold = too_many_errors(spec, self.world, effect.uid, effect.body_digest, targets)
        if hold is not None:
            return Judged(EMPTY, (*verdicts, Verdict(effect.uid, nodes, "maxErrors", hold.reason, False)), hold)
        limit = rate.concurrency(spec.max_concurrency, targets)
        silent = without(given, columns.reported)
        away = without(without(silent, columns.held), self.world.online)
        flying = without(silent, away)
        later = nodes & self.obstructed.get(effect.uid, EMPTY)
        now = wave(without(nodes, later), flying, away, self.world.online, limit)
        if later:  # whose way is clear goes first: the others may have to wait
            now |= wave(later, flying | now, away, self.world.online, limit)
        if now != nodes:
            reason = f"maxConcurrency {spec.max_concurrency or rate.DEFAULT_CONCURRENCY}: {limit} of {targets} at once"
            verdicts += (Verdict(effect.uid, without(nodes, now), "maxConcurrency", reason, True),)
        return Judged(now, verdicts)

    def _withdraw(self, effect: Withdraw) -> Judged:
        if effect.uid in self.braked:
            return Judged(EMPTY, (_braked(effect, self.world, self.limits),))
        nodes, verdicts = self._within_reach(effect)
        return Judged(nodes, verdicts)

    def _describe(self, effect: Describe) -> Judged:
        """Nodes that hold nothing yet get their context at once; the others in waves, as any change."""
        holding = self.world.holding
        limit = rate.concurrency(None, nodeset.size(holding))
        online, unsettled = self.world.online, self.world.unsettled & holding
        now = wave(effect.nodes & holding, unsettled & online, without(unsettled, online), online, limit)
        later = without(effect.nodes & holding, now)
        if not later:
            return Judged(effect.nodes)
        reason = f"labels and vars reach {limit} nodes at once"
        return Judged(without(effect.nodes, later), (Verdict("", later, "maxConcurrency", reason, True),))

    def _within_reach(self, effect: Assign | Withdraw) -> tuple[NodeSet, tuple[Verdict, ...]]:
        outside = without(effect.nodes, self.allowed)
        if not outside:
            return effect.nodes, ()
        reason = "the subject may not apply to these nodes"
        return effect.nodes & self.allowed, (Verdict(effect.uid, outside, "access", reason, False),)


def _braked(effect: Withdraw, world: World, limits: Limits) -> Verdict:
    present = nodeset.size(world.of(effect.uid).anywhere)
    reason = (
        f"would leave {nodeset.size(effect.nodes)} of its {present} nodes, over {limits.removal_percent} % or all of "
        f"them; apply with --allow-removals N to confirm"
    )
    return Verdict(effect.uid, effect.nodes, "removals", reason, False)
