"""Plan: what Git asks for, compared with what every node was given. Values in, a Plan out; the gate decides later.

What each change means on a node is `preview`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.capabilities.apps import group
from reconciler.capabilities.nodes import association
from reconciler.core import nodeset, select
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.problem import Finding
from reconciler.engine import contexts
from reconciler.engine.conflicts import conflicts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.effect import Effect
    from reconciler.core.world import Nodes, World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.conflicts import Conflict


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to happen for the fleet to be as `commit` says, seen from World at `sequence`.

    `contested` are the nodes on which an association is not given out, for another one claims the same thing there.
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


def plan(catalog: Catalog, world: World) -> Plan:
    """Compare. Linear in associations; a node costs one bit in each."""
    nodes = contexts.joined(catalog, world.nodes)
    targets = resolve_targets(catalog, nodes)
    found = conflicts(catalog.compiled, targets)
    contested: dict[str, NodeSet] = {}
    for conflict in found:
        for side in (conflict.one, conflict.other):
            contested[side.uid] = contested.get(side.uid, EMPTY) | conflict.nodes
    effects: list[Effect] = []
    moving = _moving(nodes)
    if moving:
        effects.append(Describe(moving))
    for uid in sorted(catalog.compiled.keys() | world.columns.keys()):
        compiled = catalog.compiled.get(uid)
        if compiled is not None:
            desired = association.Desired(
                uid,
                compiled.body,
                compiled.body_digest,
                catalog.resources[uid].revision,
                targets[uid],
                contested.get(uid, EMPTY),
            )
            effects.extend(association.plan(desired, world))
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
        warnings=tuple(_matches_nothing(catalog, uid) for uid, chosen in targets.items() if not chosen),
        not_enrolled=tuple(
            resource.name
            for resource in catalog.resources.values()
            if resource.kind == "Node" and resource.name not in nodes.by_name
        ),
    )


def resolve_targets(catalog: Catalog, nodes: Nodes) -> dict[str, NodeSet]:
    """The nodes of every association, each group resolved once. Cycles were refused at load."""
    members = group_members(catalog, nodes)
    return {uid: select.resolve(catalog.resources[uid].spec.targets, nodes, members) for uid in catalog.compiled}


def group_members(catalog: Catalog, nodes: Nodes) -> select.Members:
    """A function from a Group's name to its members, resolving each once."""
    known: dict[str, NodeSet] = {}

    def members(name: str) -> NodeSet:
        if name not in known:
            known[name] = EMPTY
            resource = catalog.resources.get(f"Group/{name}")
            if resource is not None:
                known[name] = group.members(resource.spec, nodes, members)
        return known[name]

    return members


def movements(effects: tuple[Effect, ...]) -> tuple[list[Assign], list[Withdraw], NodeSet]:
    """Effects by kind: what is given, what is taken, and the nodes whose context moves."""
    assigned = [effect for effect in effects if isinstance(effect, Assign)]
    withdrawn = [effect for effect in effects if isinstance(effect, Withdraw)]
    described = EMPTY
    for effect in effects:
        if isinstance(effect, Describe):
            described |= effect.nodes
    return assigned, withdrawn, described


def _moving(nodes: Nodes) -> NodeSet:
    return nodeset.of(
        bit
        for bit, entry in enumerate(nodes.entries)
        if entry is not None and entry.desired_context != entry.context_digest
    )


def _matches_nothing(catalog: Catalog, uid: str) -> Finding:
    resource = catalog.resources[uid]
    wanted = ", ".join(str(target) for target in resource.spec.targets) or "no targets"
    return Finding(
        f"{uid} matches no node ({wanted})", resource.place, expected="targets that select a node", severity="warning"
    )
