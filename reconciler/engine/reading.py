"""Reading: what templates find on each node, before and after, so that they are rendered once per distinct finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import canonical
from reconciler.core import nodeset
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.engine.views import read_context

if TYPE_CHECKING:
    from reconciler.core.nodes import NodeEntry, Nodes
    from reconciler.engine.difference import Reads
    from reconciler.engine.views import Context

Bodies = Callable[[str], bytes | None]
"""Digest -> bytes of a body or node context that some node was given."""

CONTEXTS_RENDERED = 64
"""Distinct contexts that one template is rendered for; beyond them its source is compared."""


class _Labels:
    """Nodes by label, as templates part them: each key is looked up once."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._of: dict[str, list[NodeSet]] = {}

    def of(self, key: str) -> list[NodeSet]:
        """The nodes that have each value of a label."""
        if key not in self._of:
            values = (value for known, value in self._nodes.by_label if known == key)
            self._of[key] = [self._nodes.labelled(key, value) for value in values]
        return self._of[key]


class Reading:
    """What templates read on each node: of the context that it was given, and of the one that Git asks for now.

    `before` are the nodes as they were before Git's latest word was joined to them.
    """

    def __init__(self, nodes: Nodes, before: Nodes, bodies: Bodies) -> None:
        self._nodes, self._before, self._bodies = nodes, before, bodies
        self._labels, self._labels_before = _Labels(nodes), _Labels(before)

    def before(self, bit: int) -> Context:
        """As the node was given it; as Git asks for where it was given none, or none that is at hand."""
        return self.given(bit) or self.after(bit)

    def given(self, bit: int) -> Context | None:
        """As the node was given it, None where it was given none, or none that is at hand."""
        digest = self._entry(bit).context_digest
        if not digest:
            return None
        for nodes in (self._nodes, self._before):
            entry = nodes.entries[bit] if bit < len(nodes.entries) else None
            if entry is not None and entry.desired_context == digest:
                return _context(entry)
        data = self._bodies(digest)
        return read_context(data) if data is not None else None

    def after(self, bit: int) -> Context:
        """As the node will read it."""
        return _context(self._entry(bit))

    def parts(self, nodes: NodeSet, reads: Reads | None, *, before: bool = True) -> list[tuple[NodeSet, int]] | None:
        """Nodes parted by what templates that read this find, with one of each part's bits.

        It is what they find now, and what they found `before` where that matters too. None where there are more parts
        than are rendered, and where nobody can tell what is read.
        """
        if reads is None:
            return None
        parts: list[NodeSet] = []
        if all(path[0] == "labels" and len(path) == 2 for path in reads):
            keys, moving = [path[1] for path in reads], self._nodes.moving if before else EMPTY
            known = nodeset.without(nodes & self._before.everyone, self._before.moving)
            parts += self._finer([nodeset.without(nodes, moving)], self._labels, keys)
            parts += self._finer(self._finer([known & moving], self._labels_before, keys), self._labels, keys)
            nodes = nodeset.without(nodes & moving, known)
        seen: dict[object, list[int]] = {}
        for bit in nodeset.positions(nodes):
            after = what_is_read(self.after(bit), reads)
            found = what_is_read(self.before(bit), reads) if before and self._entry(bit).moving else after
            seen.setdefault((found, after), []).append(bit)
            if len(seen) > CONTEXTS_RENDERED:
                return None
        parts += [nodeset.of(bits) for bits in seen.values()]
        if len(parts) > CONTEXTS_RENDERED:
            return None
        return sorted(((part, nodeset.lowest(part)) for part in parts), key=itemgetter(1))

    def _finer(self, parts: list[NodeSet], labels: _Labels, keys: Iterable[str]) -> list[NodeSet]:
        """Sets of nodes parted further by their values of these labels; given up where they become too many."""
        for key in keys:
            finer: list[NodeSet] = []
            for part in parts:
                for holders in labels.of(key) if part else ():
                    if there := part & holders:
                        finer.append(there)
                        part ^= there
                    if not part or len(finer) > CONTEXTS_RENDERED:
                        break
                finer += [part] if part else []
            parts = finer
        return [part for part in parts if part]

    def _entry(self, bit: int) -> NodeEntry:
        entry = self._nodes.entries[bit]
        assert entry is not None
        return entry


def what_is_read(context: Context, reads: Reads) -> tuple[object, ...]:
    """What a context has where these are read; equal for two contexts that nobody who reads these can tell apart."""
    return tuple(_value(context, path) for path in reads)


def _value(context: Context, path: tuple[str, ...]) -> object:
    value: Any = context
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value if isinstance(value, str) else canonical(value)


def _context(entry: NodeEntry) -> Context:
    return {"name": entry.name, "labels": entry.labels, "vars": entry.vars}
