"""Plan: what Git asks for, compared with what every node was given. Values in, a Plan out; the gate decides later.

What each change means on a node is `preview`'s to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.capabilities.nodes import association
from reconciler.core import nodeset
from reconciler.core.effect import Describe, Withdraw
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
        not_enrolled=tuple(name for name in catalog.names("Node") if name not in nodes.by_name),
    )


def resolve_targets(catalog: Catalog, nodes: Nodes) -> dict[str, NodeSet]:
    """The nodes of every association, each group resolved once. Cycles were refused at load."""
    resolve = catalog.resolver(nodes)
    return {uid: resolve(catalog.resources[uid].spec.targets) for uid in catalog.compiled}


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
