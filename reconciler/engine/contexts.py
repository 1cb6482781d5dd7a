"""Node contexts: what Git says of each node (labels and vars), joined with what its join token granted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress, filterfalse
from operator import attrgetter, is_not
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.contract.wire import NodeContext
from reconciler.core import world as worlds
from reconciler.core.resource import uid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.core.resource import Metadata, Resource
    from reconciler.core.world import NodeEntry, Nodes
    from reconciler.engine.catalog import Catalog

_BY_NOBODY = "-"


def context_of(entry: NodeEntry, catalog: Catalog) -> bytes:
    """Canonical JSON of the NodeContext that Git asks for."""
    return _context(entry, resource_of(entry, catalog))


def resource_of(entry: NodeEntry, catalog: Catalog) -> Resource | None:
    """The Node resource that describes an enrolled node, by the name that both keep, whatever they are called now."""
    name = entry.lasting_name
    return catalog.resources.get(uid("Node", name)) or catalog.nodes.get(name)


def joined(catalog: Catalog, nodes: Nodes) -> Nodes:
    """`nodes` as the catalog describes them. Only those whose Node resource changed are computed anew."""
    return described(catalog, nodes).nodes


@dataclass(frozen=True, slots=True)
class Described:
    """`nodes` are those of `of` as a catalog describes them; `missing` are names that it has and they have not.

    The rest is what the Node resources of the next catalog are compared with: `names`, and by each the very object that
    was read from its file.
    """

    nodes: Nodes
    of: Nodes
    missing: tuple[str, ...]
    names: tuple[str, ...]
    read: tuple[Metadata, ...]


def described(catalog: Catalog, nodes: Nodes, before: Described | None = None) -> Described:
    """Join a catalog to nodes. With what was joined `before`, only Nodes whose files differ are looked at."""
    names = tuple(catalog.nodes)
    read = tuple(map(attrgetter("metadata"), catalog.nodes.values()))
    suspects: Iterable[NodeEntry | None]
    if before is not None and names == before.names and (nodes is before.of or nodes is before.nodes):
        known = before.nodes
        suspects = map(known.entry, compress(names, map(is_not, read, before.read)))
    else:
        known, suspects = nodes, _unlike_their_namesakes(nodes, catalog)
    changed = [_described(entry, catalog) for entry in suspects if entry is not None and _outdated(entry, catalog)]
    after = worlds.relabelled(known, changed) if changed else known
    if before is not None and names == before.names and after.by_name is before.nodes.by_name:
        missing = before.missing
    else:
        missing = tuple(sorted(filterfalse(after.by_name.__contains__, names)))
    return Described(after, nodes, missing, names, read)


def declared(catalog: Catalog) -> Nodes:
    """A fleet as Git alone knows it: every Node file is a node, given nothing, whose id is the name that it keeps."""
    return awaited(catalog, (resource.uid.removeprefix(uid("Node", "")) for resource in catalog.of("Node")))


def awaited(catalog: Catalog, names: Iterable[str]) -> Nodes:
    """These Node files as nodes, given nothing, whose id is the name that they keep."""
    return joined(catalog, worlds.index(worlds.NodeEntry(id=name, name=name, labels={}) for name in names))


def _unlike_their_namesakes(nodes: Nodes, catalog: Catalog) -> list[NodeEntry]:
    """Entries that the Node resource of their name does not describe. Written for speed: it looks at every node."""
    called = catalog.nodes.get
    return [
        entry
        for entry in nodes.entries
        if entry is not None and ((node := called(entry.name)) is None or node.fingerprint != entry.described_by)
    ]


def _outdated(entry: NodeEntry, catalog: Catalog) -> bool:
    node = resource_of(entry, catalog)
    return (node.fingerprint if node is not None else _BY_NOBODY) != entry.described_by


def _described(entry: NodeEntry, catalog: Catalog) -> NodeEntry:
    node = resource_of(entry, catalog)
    name = node.name if node else entry.lasting_name
    return replace(
        entry,
        name=name,
        enrolled_as=entry.lasting_name if name != entry.lasting_name else "",
        labels=_labels(entry, node),
        described_by=node.fingerprint if node else _BY_NOBODY,
        desired_context=digest(_context(entry, node)),
    )


def _labels(entry: NodeEntry, node: Resource | None) -> dict[str, str]:
    return {**entry.token_labels, **(node.metadata.labels if node else {})}


def _context(entry: NodeEntry, node: Resource | None) -> bytes:
    context = NodeContext(
        name=node.name if node else entry.lasting_name,
        labels=_labels(entry, node),
        vars_=dict(node.spec.vars) if node else {},
    )
    return canonical(to_wire(context))
