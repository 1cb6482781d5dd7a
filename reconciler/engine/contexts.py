"""Node contexts: what Git says of each node (labels and vars), joined with what its join token granted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.contract.wire import NodeContext
from reconciler.core import indexing, nodeset
from reconciler.core.nodes import NodeEntry
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.resource import uid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from reconciler.core.nodes import Nodes
    from reconciler.core.resource import Resource
    from reconciler.engine.catalog import Catalog


def context_of(entry: NodeEntry, catalog: Catalog) -> bytes:
    """Canonical JSON of the NodeContext that Git asks for."""
    described = describe(entry, catalog)
    return _context(described.name, described.labels, described.vars)


def resource_of(entry: NodeEntry, catalog: Catalog) -> Resource | None:
    """The Node resource that describes an enrolled node, by the name that both keep, whatever they are called now."""
    name = entry.lasting_name
    return catalog.resources.get(uid("Node", name)) or catalog.nodes.get(name)


def joined(catalog: Catalog, nodes: Nodes) -> Nodes:
    """`nodes` as the catalog describes them; the very same where Git says nothing new of any.

    Only those that it says something else of than before are joined anew.
    """
    names, bits = catalog.declared.names, _suspects(catalog, nodes)
    same_names = names == nodes.declared.names
    if not bits and same_names and nodes.known_absent is not None:
        return nodes
    told = [(entry, describe(entry, catalog)) for bit in bits if (entry := nodes.entries[bit]) is not None]
    changed = [described for entry, described in told if described is not entry]
    after = indexing.relabelled(nodes, changed) if changed else nodes
    known = after.known_absent if same_names else None
    after = replace(after, unjoined=EMPTY, declared=catalog.declared, known_absent=known)
    return after if known is not None else replace(after, known_absent=after.absent)


def describe(entry: NodeEntry, catalog: Catalog) -> NodeEntry:
    """One node as the catalog describes it; the very same entry where it is so described already.

    A node whose file is there and cannot be read stays as it was described last.
    """
    node = resource_of(entry, catalog)
    if node is None and catalog.withheld(uid("Node", entry.lasting_name)):
        return entry if not entry.moving else replace(entry, desired_context=entry.context_digest)
    name = node.name if node is not None else entry.lasting_name
    of_git = node.metadata.labels if node is not None else {}
    labels = {**entry.token_labels, **of_git} if entry.token_labels else of_git
    values = node.spec.vars if node is not None else {}
    if entry.desired_context and (name, labels, values) == (entry.name, entry.labels, entry.vars):
        return entry
    enrolled_as = entry.lasting_name if name != entry.lasting_name else ""
    context = digest(_context(name, labels, values))
    return replace(entry, name=name, labels=labels, vars=values, enrolled_as=enrolled_as, desired_context=context)


def undescribed(catalog: Catalog, nodes: Nodes) -> NodeSet:
    """Nodes of which Git says what nobody can read."""
    said = catalog.declared
    if said.blind:
        return nodeset.without(nodes.everyone, nodes.listed(said.names))
    return nodes.listed(said.withheld)


def declared(catalog: Catalog) -> Nodes:
    """A fleet as Git alone knows it: every Node file is a node, given nothing, whose id is the name that it keeps."""
    return awaited(catalog, (resource.uid.removeprefix(uid("Node", "")) for resource in catalog.of("Node")))


def awaited(catalog: Catalog, names: Iterable[str]) -> Nodes:
    """These Node files as nodes, given nothing, whose id is the name that they keep."""
    return joined(catalog, indexing.index(NodeEntry(id=name, name=name, labels={}) for name in names))


def _suspects(catalog: Catalog, nodes: Nodes) -> Collection[int]:
    """Bits of nodes that Git may say something else of than what was joined to them."""
    now, before = catalog.declared, nodes.declared
    if now.blind != before.blind:
        return range(len(nodes.entries))
    names: set[str] = set(now.withheld ^ before.withheld)
    if now.names != before.names:
        names |= set(now.names) ^ set(before.names)
        names |= {catalog.nodes[name].uid.removeprefix(uid("Node", "")) for name in names if name in catalog.nodes}
        now, before = now.without(names), before.without(names)
        if now.names != before.names:
            return range(len(nodes.entries))
    names.update(now.names[position] for position in now.unlike(before))
    bits = {bit for name in names if (bit := nodes.by_name.get(name)) is not None}
    return bits.union(nodeset.positions(nodes.unjoined))


def _context(name: str, labels: Mapping[str, str], values: Mapping[str, Any]) -> bytes:
    return canonical(to_wire(NodeContext(name=name, labels=dict(labels), vars_=dict(values))))
