"""Node contexts: what Git says of each node (labels and vars), joined with what its join token granted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.contract.wire import NodeContext
from reconciler.core import world as worlds

if TYPE_CHECKING:
    from reconciler.core.world import NodeEntry, Nodes
    from reconciler.engine.catalog import Catalog


def context_of(entry: NodeEntry, catalog: Catalog) -> bytes:
    """Canonical JSON of the NodeContext that Git asks for."""
    node = catalog.resources.get(f"Node/{entry.name}")
    context = NodeContext(
        name=entry.name,
        labels={**entry.token_labels, **(node.metadata.labels if node else {})},
        vars_=dict(node.spec.vars) if node else {},
    )
    return canonical(to_wire(context))


def joined(catalog: Catalog, nodes: Nodes) -> Nodes:
    """`nodes` as the catalog describes them. Only those whose Node resource changed are computed anew."""
    changed = []
    resources = catalog.resources
    for entry in nodes.entries:
        if entry is None:
            continue
        node = resources.get("Node/" + entry.name)
        described_by = node.fingerprint if node else "-"
        if described_by == entry.described_by:
            continue
        labels = {**entry.token_labels, **node.metadata.labels} if node else dict(entry.token_labels)
        desired = digest(context_of(entry, catalog))
        changed.append(replace(entry, labels=labels, described_by=described_by, desired_context=desired))
    return worlds.relabelled(nodes, changed) if changed else nodes


def declared(catalog: Catalog) -> Nodes:
    """A fleet as Git alone knows it: every Node file is a node whose id is its name, given nothing."""
    entries = [worlds.NodeEntry(id=resource.name, name=resource.name, labels={}) for resource in catalog.of("Node")]
    return joined(catalog, worlds.index(entries))
