"""A plan as far as somebody may see it: nodes beyond their reach are not in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.world import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.core.effect import Effect
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.world import World
    from reconciler.engine.gate import Gated
    from reconciler.engine.plan import Plan


def within(reach: NodeSet, plan: Plan, gated: Gated, world: World) -> tuple[Plan, Gated, World]:
    """Plan, judgement and World with the nodes within reach only. Names of nodes that nobody enrolled are left out."""
    if not plan.nodes.everyone & ~reach:
        return plan, gated, world
    nodes = replace(plan.nodes, everyone=plan.nodes.everyone & reach)
    conflicts = (replace(conflict, nodes=conflict.nodes & reach) for conflict in plan.conflicts)
    verdicts = (replace(verdict, nodes=verdict.nodes & reach) for verdict in gated.verdicts)
    return (
        replace(
            plan,
            nodes=nodes,
            effects=tuple(_effects(plan, reach)),
            conflicts=tuple(conflict for conflict in conflicts if conflict.nodes),
            not_enrolled=(),
        ),
        replace(gated, verdicts=tuple(verdict for verdict in verdicts if verdict.nodes)),
        replace(
            world,
            online=world.online & reach,
            columns={uid: _columns(columns, reach) for uid, columns in world.columns.items()},
        ),
    )


def _effects(plan: Plan, reach: NodeSet) -> Iterator[Effect]:
    for effect in plan.effects:
        if not isinstance(effect, Assign | Withdraw | Describe):
            yield effect
        elif effect.nodes & reach:
            yield replace(effect, nodes=effect.nodes & reach)


def _columns(columns: Columns, reach: NodeSet) -> Columns:
    return Columns(
        {body_digest: nodes & reach for body_digest, nodes in columns.given.items()},
        columns.held & reach,
        columns.reported & reach,
        columns.converged & reach,
        columns.failed & reach,
        columns.drifted & reach,
    )
