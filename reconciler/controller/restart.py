"""What a start finds in the store: World and the rest of what is known, as it was when the last daemon ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.capabilities.nodes.fleet import AgentSettings
from reconciler.controller.holds import hold_in
from reconciler.controller.state import NodeLife, State
from reconciler.core import indexing, permits
from reconciler.core.nodes import NodeEntry, Nodes
from reconciler.core.records import AuditRow, Changes
from reconciler.core.world import Release, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.ports import Store
    from reconciler.core.records import NodeRow

REVISION = "revision"
ACCESS_REVISION = "accessRevision"
INTERVAL = "agentInterval"
HORIZON = "leaveHorizon"
GENERATIONS_FROM = "generationsFrom"
"""Names of the settings that the store keeps."""

LOST_GENERATIONS = 1_000_000
"""More generations than an association can have had between a backup and its restoration."""


def load_state(store: Store, fleet_id: str) -> State:
    """Everything that is known before the repository is looked at."""
    rows, settings = store.nodes(), store.settings()
    return State(
        world=_world(store, fleet_id, rows, Nodes()),
        interval=interval_of(store),
        leaves={row.uid: row for row in store.leaves()},
        horizon=horizon_in(settings),
        hold=hold_in(settings),
        lives={row.id: NodeLife(last_seen=row.last_seen) for row in rows if row.retired_at is None},
    )


def load_world(store: Store, fleet_id: str, before: World | None = None) -> World:
    """World from the store. Nodes keep the bits they had `before`, and are as much online as they were."""
    nodes = before.nodes if before is not None else Nodes()
    world = _world(store, fleet_id, store.nodes(), nodes)
    if before is None:
        return world
    return replace(world, sequence=before.sequence + 1, online=before.online & world.nodes.everyone)


def interval_of(store: Store) -> int:
    """How often agents are told to look, in seconds."""
    return interval_in(store.settings())


def interval_in(settings: Mapping[str, str]) -> int:
    """The same, of settings that were read."""
    return int(settings.get(INTERVAL) or AgentSettings().interval)


def horizon_in(settings: Mapping[str, str]) -> int:
    """Until when nodes are told what they may do alone, in Unix milliseconds."""
    return int(settings.get(HORIZON) or 0)


def declare_restored(store: Store, at: int) -> int:
    """Say that the store is a backup's: the new incarnation.

    Generations go on far above those that were used after the backup was taken: agents keep book of what ran by
    generation, and none may come to mean something else.
    """
    newest = max((release.generation for release in store.releases()), default=0)
    settings = {GENERATIONS_FROM: str(newest + LOST_GENERATIONS)}
    audit = AuditRow(at, "reconciler", "restored", "store", f"generations from {newest + LOST_GENERATIONS}")
    store.commit(Changes(at=at, settings=settings, audit=(audit,)))
    return store.declare_restored(at)


def _world(store: Store, fleet_id: str, rows: list[NodeRow], before: Nodes) -> World:
    nodes = _nodes([row for row in rows if row.retired_at is None], before)
    settings = store.settings()
    releases = store.releases()
    return World(
        fleet_id=fleet_id,
        incarnation=store.incarnation,
        revision=settings.get(REVISION) or None,
        access_revision=settings.get(ACCESS_REVISION) or None,
        generations_from=int(settings.get(GENERATIONS_FROM) or 1),
        nodes=nodes,
        unsettled=nodes.of_ids(row.id for row in rows if row.unsettled),
        columns=store.columns(nodes.bits),
        releases={
            row.uid: Release(row.generation, row.body_digest, row.commit, row.held_for, row.tolerated)
            for row in releases
        },
        permits=permits.load(store.permits(), nodes.bits),
    )


def _nodes(rows: list[NodeRow], before: Nodes) -> Nodes:
    """Nodes at the bits they had, new ones behind them in the order of the rows."""
    entries: list[NodeEntry | None] = [None] * len(before.entries)
    for row in rows:
        entry = NodeEntry(row.id, row.name, row.labels, row.labels, context_digest=row.context_digest)
        bit = before.bits.get(row.id)
        if bit is None:
            entries.append(entry)
        else:
            entries[bit] = entry
    return indexing.index(entries)
