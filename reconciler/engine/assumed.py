"""World as if a commit had been applied everywhere: what a plan of Git against Git compares with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.contract.canonical import digest
from reconciler.core.world import Columns, Release, World, index
from reconciler.engine import contexts
from reconciler.engine.plan import resolve_targets

if TYPE_CHECKING:
    from reconciler.core.world import NodeEntry
    from reconciler.engine.catalog import Catalog


def assumed(catalog: Catalog, base: Catalog | None) -> tuple[World, dict[str, bytes]]:
    """World with every declared node, each given what `base` asks for; and the bodies and contexts it was given.

    Without a base nothing was given to anybody: every pair is an addition.
    """
    nodes = contexts.declared(base) if base is not None else index([])
    new = contexts.declared(catalog)
    missing = [entry for entry in new.entries if entry is not None and entry.name not in nodes.by_name]
    kept: dict[str, bytes] = {}
    entries: list[NodeEntry | None] = []
    for entry in nodes.entries:
        if entry is not None and base is not None:
            data = contexts.context_of(entry, base)
            kept[digest(data)] = data
            entries.append(replace(entry, context_digest=digest(data), described_by=""))
    entries += [replace(entry, context_digest=entry.desired_context, described_by="") for entry in missing]
    world = World("git", 0, revision=base.commit if base else None, nodes=index(entries))
    if base is None:
        return world, kept
    columns, releases = {}, {}
    for uid, chosen in resolve_targets(base, world.nodes).items():
        compiled = base.compiled[uid]
        kept[compiled.body_digest] = compiled.body
        columns[uid] = Columns({compiled.body_digest: chosen})
        releases[uid] = Release(1, compiled.body_digest, base.commit)
    return replace(world, columns=columns, releases=releases), kept
