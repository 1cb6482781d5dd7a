"""Handover: a thing that passes from one association to another is let go of before, or as, the other one takes it.

Conflicts between associations as Git has them are found when planning. While a change is under way, nodes also hold
bodies that Git has no more; what these own is not free yet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.contract.claims import claims_of, meet
from agent.contract.codec import Malformed, from_wire
from agent.contract.inputs import action_of
from reconciler.core.effect import Assign, Withdraw
from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agent.contract.claims import Claim
    from reconciler.core.effect import Effect
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.plan import Plan

Owned = tuple["Claim", ...]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Nodes on which `uid` would take what `by` still owns there (`owned`, as `path:/etc/motd`)."""

    uid: str
    by: str
    owned: str
    nodes: NodeSet


def owned_by(body: bytes) -> Owned:
    """What a body owns, from its canonical JSON. Steps that this version does not know own nothing."""
    found: list[Claim] = []
    for step in json.loads(body)["steps"]:
        action = action_of(step["action"])
        if action is not None:
            try:
                found += claims_of(step["action"], from_wire(action.inputs, step["inputs"]))
            except Malformed:
                continue
    return tuple(found)


def obstacles(plan: Plan, catalog: Catalog, world: World, owned: Callable[[str], Owned]) -> tuple[Obstacle, ...]:
    """What keeps associations from where they are to go. `owned` tells what a body owns, by its digest.

    Costs what is under way: bodies that Git has are left out where it wants them.
    """
    pending = {effect.uid: effect.nodes for effect in plan.effects if isinstance(effect, Assign)}
    if not pending:
        return ()
    return tuple(
        Obstacle(uid, by, claim.owned, nodes)
        for by, body_digest, left in _left_over(plan, catalog, world)
        for claim in owned(body_digest)
        for uid, placed in plan.memory.claims.by_thing.get(claim[:2], ())
        if uid != by and meet(claim, placed.claim) and (nodes := left & pending.get(uid, EMPTY))
    )


def obstructed(found: Iterable[Obstacle]) -> dict[str, NodeSet]:
    """By association: the nodes on which something is in its way."""
    nodes: dict[str, NodeSet] = {}
    for obstacle in found:
        nodes[obstacle.uid] = nodes.get(obstacle.uid, EMPTY) | obstacle.nodes
    return nodes


def waiting(effects: Iterable[Effect], found: Iterable[Obstacle]) -> list[Obstacle]:
    """The obstacles that these effects, performed together, leave in place, with the nodes that must wait for them.

    Who is itself made to wait stays in the way of others.
    """
    waits: list[Obstacle] = []
    listed, moving, settled = tuple(found), tuple(effects), False
    assigned = {effect.uid: effect.nodes for effect in moving if isinstance(effect, Assign)}
    withdrawn = {effect.uid: effect.nodes for effect in moving if isinstance(effect, Withdraw)}
    while not settled:
        settled = True
        for obstacle in listed:
            let_go = assigned.get(obstacle.by, EMPTY) | withdrawn.get(obstacle.by, EMPTY)
            nodes = obstacle.nodes & assigned.get(obstacle.uid, EMPTY) & ~let_go
            if nodes:
                settled = False
                assigned[obstacle.uid] &= ~nodes
                waits.append(Obstacle(obstacle.uid, obstacle.by, obstacle.owned, nodes))
    return waits


def _left_over(plan: Plan, catalog: Catalog, world: World) -> Iterator[tuple[str, str, NodeSet]]:
    """(association, body, nodes) where nodes have what Git does not want there (any more)."""
    targets: Mapping[str, NodeSet] = plan.targets
    for uid, columns in world.columns.items():
        compiled = catalog.compiled.get(uid)
        for body_digest, nodes in columns.given.items():
            wanted = targets[uid] if compiled is not None and compiled.body_digest == body_digest else EMPTY
            if left := nodes & ~wanted:
                yield uid, body_digest, left
