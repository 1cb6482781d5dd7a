"""What people and programs are shown of the fleet: from snapshots, on the thread that asks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import instant
from reconciler.controller.progress import waits
from reconciler.controller.standing import Standings
from reconciler.core import nodeset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.controller.state import NodeLife, State
    from reconciler.core.condition import Condition
    from reconciler.core.nodes import NodeEntry, Nodes
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.ports import Store
    from reconciler.core.records import AssignmentRow, AuditRow, StateRow
    from reconciler.core.world import Release, World
    from reconciler.engine.catalog import Catalog


UNREACHED_SHOWN = 10


def status(state: State) -> dict[str, Any]:
    """Where the fleet stands: the revision in force, what holds newer ones back, totals."""
    world, catalog, plan = state.world, state.catalog, state.plan
    standings = Standings(world)
    return {
        "fleet": world.fleet_id,
        "revision": world.revision,
        "head": state.head,
        "sync": state.sync,
        "fetchedAt": instant(state.fetched_at) if state.fetched_at else None,
        "problems": state.told,
        "nodes": nodeset.size(world.nodes.everyone),
        "online": nodeset.size(world.online),
        "failing": nodeset.size(standings.failing),
        "drifted": nodeset.size(standings.drifted),
        "associations": len(catalog.compiled) if catalog else 0,
        "conditions": [condition(item) for item in (*catalog.conditions, *state.parameters_due)] if catalog else [],
        "conflicts": [str(conflict) for conflict in plan.conflicts] if plan else [],
        "frozen": state.gated.frozen if state.gated is not None else "",
        "held": {uid: release.held_for for uid, release in world.releases.items() if _is_held(uid, release, catalog)},
        "waits": waits(state.gated),
    }


def _is_held(uid: str, release: Release, catalog: Catalog | None) -> bool:
    """Whether a hold still stands in anybody's way: what left Git is held no more."""
    asked_for = catalog is None or uid in catalog.compiled or catalog.withheld(uid)
    return bool(release.held_for) and asked_for


def nodes(state: State, world: World, reach: NodeSet) -> Iterator[dict[str, Any]]:
    """The enrolled nodes within reach."""
    standings = Standings(world)
    online = frozenset(nodeset.positions(world.online & reach))
    bad, failing, compliant = (
        frozenset(nodeset.positions(chosen & reach))
        for chosen in (standings.bad, standings.failing, standings.compliant)
    )
    for bit in nodeset.positions(reach & world.nodes.everyone):
        entry = world.nodes.entries[bit]
        if entry is not None:
            word = "NON_COMPLIANT" if bit in bad else "COMPLIANT" if bit in compliant else "UNKNOWN"
            life, why = state.life(entry.id), state.unreached.get(entry.name, "")
            yield _node(entry, life, why, word, _frozen(state, life), online=bit in online, failing=bit in failing)


def not_enrolled(state: State, declared: Nodes, reach: NodeSet, world: World) -> Iterator[dict[str, Any]]:
    """The nodes within reach that Git declares and nobody enrolled."""
    for name in declared.names(reach):
        if name not in world.nodes.by_name:
            why = state.unreached.get(name)
            yield {"name": name, "id": "", "state": "NotEnrolled", **({"reason": why} if why else {})}


def node(state: State, world: World, store: Store, entry: NodeEntry) -> dict[str, Any]:
    """One node, with what it was given and says."""
    row = store.node(entry.id)
    assert row is not None
    bit, standings = world.nodes.named(entry.id), Standings(world)
    given = store.assignments_of(entry.id)
    states = {known.uid: known for known in store.states(node_ids=[entry.id])}  # after: a report may come in between
    online, failing = bool(world.online & bit), bool(standings.failing & bit)
    life, why = state.life(entry.id), state.unreached.get(entry.name, "")
    return {
        **_node(entry, life, why, standings.word(bit), _frozen(state, life), online=online, failing=failing),
        "agentVersion": row.agent_version,
        "platform": row.platform,
        "enrolledAt": instant(row.enrolled_at),
        "serial": row.serial,
        "facts": json.loads(row.facts),
        "assignments": [_assignment(one, states.get(one.uid)) for one in given],
    }


def condition(found: Condition) -> dict[str, Any]:
    """Why a resource is not as its author meant it."""
    return {
        "uid": found.uid,
        "type": found.kind,
        "status": found.status,
        "reason": found.reason,
        "message": found.message,
        "findings": [str(finding) for finding in found.findings],
    }


def audited(row: AuditRow) -> dict[str, Any]:
    """Who did what to what, when, and how it ended."""
    return asdict(row) | {"at": instant(row.at)}


def unreached(state: State, nodes: Nodes, reach: NodeSet) -> list[str]:
    """Sentences about the nodes within reach that were visited in vain: the first of them, and how many more."""
    names = [name for name in sorted(state.unreached) if name in nodes.absent or nodes.named(name) & reach]
    told = [f"{name} is not reached over SSH: {state.unreached[name]}" for name in names[:UNREACHED_SHOWN]]
    left = len(names) - len(told)
    return [*told, f"{left} more nodes are not reached over SSH: see opsctl node list"] if left else told


def _node(
    entry: NodeEntry, life: NodeLife, unreached: str, compliance: str, frozen: str, *, online: bool, failing: bool
) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "state": _state(life, online=online),
        "reason": _AHEAD.format(*life.ahead) if life.ahead else unreached,
        "compliance": compliance,
        "failing": failing,
        "labels": dict(entry.labels),
        "frozen": frozen,
        "lastSeen": instant(life.last_seen) if life.last_seen else None,
        "checkedAt": life.checked_at or None,
    }


def _state(life: NodeLife, *, online: bool) -> str:
    """SSM's words: who is connected and has not looked at itself for long is `Inactive`."""
    if life.ahead:
        return "Held"
    return "Online" if online else "Inactive" if life.connected else "ConnectionLost"


def _frozen(state: State, life: NodeLife) -> str:
    """Why the node only monitors; where its agent cannot be held, that."""
    frozen = state.gated.frozen if state.gated is not None else ""
    old = life.connected and "hold" not in life.features
    return f"{frozen}; its agent is too old to obey that" if frozen and old else frozen


_AHEAD = "it holds set {}.{}, which this store never gave it; after a restore, say so: opsctl serve --restored"


def _assignment(given: AssignmentRow, known: StateRow | None) -> dict[str, Any]:
    """What the node said last of this generation, in one breath; what it said of an earlier one stands until then."""
    said = known if known is not None and known.generation == given.generation else given
    return {
        "uid": given.uid,
        "generation": given.generation,
        "bodyDigest": given.body_digest,
        "held": given.held,
        "status": said.status or "Pending",
        "compliance": said.compliance,
        "reason": known.reason if known else "",
        "since": instant(known.since) if known else None,
        "findings": json.loads(known.findings) if known else [],
    }
