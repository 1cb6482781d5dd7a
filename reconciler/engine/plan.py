"""Plan: what Git asks for, compared with what every node was given. Values in, a Plan out; the gate decides later.

What each change means on a node is `preview`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from reconciler.capabilities.nodes import association
from reconciler.core import nodeset, select
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.problem import Finding
from reconciler.engine import contexts
from reconciler.engine.conflicts import NOBODY, claims, meeting
from reconciler.engine.memory import Recall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.core.effect import Effect
    from reconciler.core.nodes import Nodes
    from reconciler.core.select import Sought
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.conflicts import Claims, Conflict
    from reconciler.engine.memory import Memory


class Resolved(NamedTuple):
    """The nodes of an association, with all that they follow from."""

    fingerprint: str
    sought: Sought
    nodes: NodeSet


@dataclass(frozen=True, slots=True)
class PlanMemory:
    """What a plan keeps for the one after it. `nodes` are World's, before the catalog was joined to them."""

    nodes: Nodes | None = None
    claims: Claims = NOBODY
    targets: Mapping[str, Resolved] = field(default_factory=dict)
    effects: Memory[list[Effect]] = field(default_factory=dict)


NOTHING = PlanMemory()


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to happen for the fleet to be as `commit` says, seen from World at `sequence`.

    `contested` are the nodes on which an association is not given out, for another one claims the same thing there.
    `memory` serves the plan after this one.
    """

    commit: str
    base: str | None
    sequence: int
    nodes: Nodes
    targets: Mapping[str, NodeSet]
    effects: tuple[Effect, ...]
    conflicts: tuple[Conflict, ...] = ()
    contested: Mapping[str, NodeSet] = field(default_factory=dict)
    warnings: tuple[Finding, ...] = ()
    not_enrolled: tuple[str, ...] = ()
    memory: PlanMemory = field(default=NOTHING, repr=False, compare=False)


def plan(catalog: Catalog, world: World, previous: Plan | None = None) -> Plan:
    """Compare. Linear in associations; a node costs one bit in each.

    `previous` is any earlier plan: with it only what differs is looked at again, and the result is the same.
    """
    if catalog.holds_everything:
        return Plan(catalog.commit, world.revision, world.sequence, world.nodes, {}, ())
    memory = previous.memory if previous is not None else NOTHING
    known = previous.nodes if previous is not None and world.nodes is memory.nodes else world.nodes
    nodes = contexts.joined(catalog, known)
    resolved = _resolved(catalog, nodes, memory.targets, moved=previous is None or nodes is not previous.nodes)
    targets = {uid: found.nodes for uid, found in resolved.items()}
    if undescribed := contexts.undescribed(catalog, nodes):
        targets = {uid: _kept(chosen, world.of(uid).anywhere, undescribed) for uid, chosen in targets.items()}
    claimed = claims(catalog.compiled, memory.claims)
    found = meeting(claimed, targets)
    contested = _contested(found)
    comparing = Recall(memory.effects)
    effects: list[Effect] = [Describe(nodes.moving)] if nodes.moving else []
    for uid in sorted(catalog.compiled.keys() | world.columns.keys()):
        compiled = catalog.compiled.get(uid)
        if compiled is not None:
            commit = catalog.resources[uid].revision
            wanted = (targets[uid], contested.get(uid, EMPTY))
            desired = association.Desired(uid, compiled.body, compiled.body_digest, commit, *wanted)
            parts = (compiled.body_digest, *wanted, world.of(uid))
            effects += _at(commit, comparing(uid, parts, association.plan, desired, world))
        elif not catalog.withheld(uid) and (left := world.of(uid).anywhere):
            effects.append(Withdraw(uid, left))
    return Plan(
        commit=catalog.commit,
        base=world.revision,
        sequence=world.sequence,
        nodes=nodes,
        targets=targets,
        effects=tuple(effects),
        conflicts=tuple(found),
        contested=contested,
        warnings=tuple(_matches_nothing(catalog, uid) for uid in _nowhere(catalog, targets, nodes.absent)),
        not_enrolled=nodes.absent,
        memory=PlanMemory(world.nodes, claimed, resolved, comparing.memory),
    )


def resolve_targets(catalog: Catalog, nodes: Nodes) -> dict[str, NodeSet]:
    """The nodes of every association, each group resolved once. Cycles were refused at load."""
    return {uid: found.nodes for uid, found in _resolved(catalog, nodes, {}, moved=True).items()}


def _resolved(catalog: Catalog, nodes: Nodes, before: Mapping[str, Resolved], *, moved: bool) -> dict[str, Resolved]:
    """The nodes of every association. Sets are joined anew only for what seeks others than before.

    While nodes have not moved, that can only be associations that are not as they were.
    """
    members = catalog.members(nodes)
    found = {}
    for uid in catalog.compiled:
        resource, known = catalog.resources[uid], before.get(uid)
        if known is None or moved or known.fingerprint != resource.fingerprint:
            sought = select.sought(resource.spec.targets, nodes, members)
            chosen = known.nodes if known is not None and known.sought == sought else select.meeting(sought)
            known = Resolved(resource.fingerprint, sought, chosen)
        found[uid] = known
    return found


def _kept(chosen: NodeSet, present: NodeSet, undescribed: NodeSet) -> NodeSet:
    """Targets that neither leave nor join a node while nobody can read what Git says of it."""
    return nodeset.without(chosen, undescribed) | present & undescribed


def _contested(found: Iterable[Conflict]) -> dict[str, NodeSet]:
    contested: dict[str, NodeSet] = {}
    for conflict in found:
        for side in (conflict.one, conflict.other):
            contested[side.uid] = contested.get(side.uid, EMPTY) | conflict.nodes
    return contested


def _at(commit: str, effects: Iterable[Effect]) -> Iterator[Effect]:
    """Effects as of this commit: what was found out at an earlier one holds now."""
    for effect in effects:
        if isinstance(effect, Assign) and effect.commit != commit:
            yield Assign(effect.uid, effect.nodes, effect.body, effect.body_digest, commit)
        else:
            yield effect


def _nowhere(catalog: Catalog, targets: Mapping[str, NodeSet], missing: tuple[str, ...]) -> list[str]:
    """Associations that select neither a node nor one that is declared and only waits to be enrolled."""
    empty = [uid for uid, chosen in targets.items() if not chosen]
    if not empty or not missing:
        return empty
    resolve = catalog.resolver(contexts.awaited(catalog, missing))
    return [uid for uid in empty if not resolve(catalog.resources[uid].spec.targets)]


def _matches_nothing(catalog: Catalog, uid: str) -> Finding:
    resource = catalog.resources[uid]
    wanted = ", ".join(str(target) for target in resource.spec.targets) or "no targets"
    return Finding(
        f"{uid} matches no node ({wanted})", resource.place, expected="targets that select a node", severity="warning"
    )
