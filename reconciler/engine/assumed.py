"""World as if a commit had been applied everywhere: what a plan of Git against Git compares with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.indexing import index, relabelled
from reconciler.core.world import Columns, Release, World
from reconciler.engine import contexts
from reconciler.engine.plan import resolve_targets

if TYPE_CHECKING:
    from reconciler.core.nodes import Nodes
    from reconciler.engine.catalog import Catalog


def assumed(catalog: Catalog, base: Catalog | None) -> tuple[World, dict[str, bytes]]:
    """World with every declared node, each given what `base` asks for; and the bodies and contexts it was given.

    Without a base nothing was given to anybody: every pair is an addition.
    """
    declared = contexts.declared(catalog)
    if base is None:
        return World("git", 0, nodes=_given(index([]), declared)), {}
    before = contexts.declared(base)
    nodes = _given(index([]), before)
    kept = {entry.desired_context: contexts.context_of(entry, base) for entry in before.entries if entry is not None}
    columns, releases = {}, {}
    for uid, chosen in resolve_targets(base, nodes).items():
        compiled = base.compiled[uid]
        kept[compiled.body_digest] = compiled.body
        columns[uid] = Columns({compiled.body_digest: chosen})
        releases[uid] = Release(1, compiled.body_digest, base.commit)
    world = World("git", 0, revision=base.commit, nodes=_given(nodes, declared), columns=columns, releases=releases)
    return world, kept


def _given(nodes: Nodes, declared: Nodes) -> Nodes:
    """`nodes`, and those declared that are not among them, as if they had the context that they are to have."""
    entries = (entry for entry in declared.entries if entry is not None and entry.id not in nodes.bits)
    return relabelled(nodes, [replace(entry, context_digest=entry.desired_context) for entry in entries])
