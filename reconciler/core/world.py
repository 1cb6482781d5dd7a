"""World: what is, in columns. A cache of the store: built at start, changed by the leader only, read as a snapshot.

`Nodes` gives every node a bit; `Columns` holds, for one association, which nodes were given which generation and what
they said of it. All values are frozen; a change makes a new snapshot that shares everything it did not touch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.core import nodeset
from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node as World knows it.

    `labels` are the token's (kept apart in `token_labels`) and Git's, Git's winning. `described_by` is the fingerprint
    of the Node resource they were joined from. `context_digest` is the NodeContext that the node was given,
    `desired_context` the one that Git asks for now.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    token_labels: Mapping[str, str] = field(default_factory=dict)
    described_by: str = ""
    context_digest: str = ""
    desired_context: str = ""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes by bit, and the indexes that targets are resolved with. `entries[bit]` is None where a node is gone."""

    entries: tuple[NodeEntry | None, ...] = ()
    bits: Mapping[str, int] = field(default_factory=dict)
    by_name: Mapping[str, int] = field(default_factory=dict)
    by_label: Mapping[tuple[str, str], NodeSet] = field(default_factory=dict)
    by_key: Mapping[str, NodeSet] = field(default_factory=dict)
    everyone: NodeSet = EMPTY

    def labelled(self, key: str, value: str) -> NodeSet:
        return self.by_label.get((key, value), EMPTY)

    def having(self, key: str) -> NodeSet:
        return self.by_key.get(key, EMPTY)

    def named(self, name: str) -> NodeSet:
        bit = self.by_name.get(name, self.bits.get(name))
        return EMPTY if bit is None else 1 << bit

    def names(self, nodes: NodeSet) -> list[str]:
        """Names in the order of bits."""
        entries = self.entries
        return [entry.name for bit in nodeset.positions(nodes) if (entry := entries[bit]) is not None]

    def ids(self, nodes: NodeSet) -> list[str]:
        entries = self.entries
        return [entry.id for bit in nodeset.positions(nodes) if (entry := entries[bit]) is not None]

    def of_ids(self, ids: Iterable[str]) -> NodeSet:
        bits = self.bits
        return nodeset.of(bits[id_] for id_ in ids if id_ in bits)

    def entry(self, name_or_id: str) -> NodeEntry | None:
        bit = self.by_name.get(name_or_id, self.bits.get(name_or_id))
        return None if bit is None else self.entries[bit]


def index(entries: Iterable[NodeEntry | None]) -> Nodes:
    """Nodes with all their indexes."""
    rows = tuple(entries)
    bits, by_name = {}, {}
    labels: dict[tuple[str, str], list[int]] = {}
    for bit, entry in enumerate(rows):
        if entry is None:
            continue
        bits[entry.id] = bit
        by_name[entry.name] = bit
        for pair in entry.labels.items():
            labels.setdefault(pair, []).append(bit)
    by_label = {pair: nodeset.of(held) for pair, held in labels.items()}
    by_key: dict[str, NodeSet] = {}
    for (key, _), held_by in by_label.items():
        by_key[key] = by_key.get(key, EMPTY) | held_by
    return Nodes(rows, bits, by_name, by_label, by_key, nodeset.of(bits.values()))


def relabelled(nodes: Nodes, changed: Iterable[NodeEntry]) -> Nodes:
    """Nodes after these entries replaced those of the same id; new ids take new bits. Costs what changed and a copy."""
    entries, bits, by_name = list(nodes.entries), dict(nodes.bits), dict(nodes.by_name)
    by_label = dict(nodes.by_label)
    gained: dict[tuple[str, str], list[int]] = {}
    lost: dict[tuple[str, str], list[int]] = {}
    fresh = []
    for entry in changed:
        bit = bits.get(entry.id)
        if bit is None:
            bit = bits[entry.id] = len(entries)
            entries.append(entry)
            fresh.append(bit)
            before: Mapping[str, str] = {}
        else:
            old = entries[bit]
            before = old.labels if old else {}
            if old and old.name != entry.name:
                by_name.pop(old.name, None)
            entries[bit] = entry
        by_name[entry.name] = bit
        for pair in before.items() - entry.labels.items():
            lost.setdefault(pair, []).append(bit)
        for pair in entry.labels.items() - before.items():
            gained.setdefault(pair, []).append(bit)
    for pair, held in lost.items():
        by_label[pair] &= ~nodeset.of(held)
    for pair, held in gained.items():
        by_label[pair] = by_label.get(pair, EMPTY) | nodeset.of(held)
    touched = {key for key, _ in lost} | {key for key, _ in gained}
    by_key = {key: held_by for key, held_by in nodes.by_key.items() if key not in touched}
    for (key, _), held_by in by_label.items():
        if key in touched:
            by_key[key] = by_key.get(key, EMPTY) | held_by
    return Nodes(tuple(entries), bits, by_name, by_label, by_key, nodes.everyone | nodeset.of(fresh))


def without(nodes: Nodes, ids: Iterable[str]) -> Nodes:
    """Nodes after these ids left; their bits stay free for the life of the process."""
    gone = set(ids)
    return index(None if entry is None or entry.id in gone else entry for entry in nodes.entries)


@dataclass(frozen=True, slots=True)
class Columns:
    """One association in the world.

    `given` maps each body digest that any node is still on to its nodes; `held` are those that acknowledged what they
    were given, `reported` those that reported on it, and of these `converged`, `failed` and `drifted`.
    """

    given: Mapping[str, NodeSet] = field(default_factory=dict)
    held: NodeSet = EMPTY
    reported: NodeSet = EMPTY
    converged: NodeSet = EMPTY
    failed: NodeSet = EMPTY
    drifted: NodeSet = EMPTY

    @property
    def anywhere(self) -> NodeSet:
        """Nodes that were given any generation."""
        found = EMPTY
        for nodes in self.given.values():
            found |= nodes
        return found

    def on(self, body_digest: str) -> NodeSet:
        return self.given.get(body_digest, EMPTY)

    def assigned(self, nodes: NodeSet, body_digest: str) -> Columns:
        """After `nodes` were given this body: whatever they said of another one no longer counts."""
        given = {held: left for held, was in self.given.items() if (left := was & ~nodes)}
        given[body_digest] = given.get(body_digest, EMPTY) | nodes
        return self._forgetting(nodes, given)

    def withdrawn(self, nodes: NodeSet) -> Columns:
        return self._forgetting(nodes, {held: left for held, was in self.given.items() if (left := was & ~nodes)})

    def _forgetting(self, nodes: NodeSet, given: Mapping[str, NodeSet]) -> Columns:
        keep = ~nodes
        return Columns(
            given,
            self.held & keep,
            self.reported & keep,
            self.converged & keep,
            self.failed & keep,
            self.drifted & keep,
        )

    def said(self, node: NodeSet, *, converged: bool, failed: bool, drifted: bool) -> Columns:
        """After one node reported on what it was given."""
        keep = ~node
        return Columns(
            self.given,
            self.held | node,
            self.reported | node,
            self.converged | node if converged else self.converged & keep,
            self.failed | node if failed else self.failed & keep,
            self.drifted | node if drifted else self.drifted & keep,
        )


@dataclass(frozen=True, slots=True)
class Release:
    """The newest released body of one association. `held_for` is why it goes no further, empty while it does."""

    generation: int
    body_digest: str
    commit: str
    held_for: str = ""


NOTHING = Columns()


@dataclass(frozen=True, slots=True)
class World:
    """A snapshot. `sequence` grows with every change; `revision` is the commit in force, None before the first."""

    fleet_id: str
    incarnation: int
    sequence: int = 0
    revision: str | None = None
    access_revision: str | None = None
    nodes: Nodes = field(default_factory=Nodes)
    online: NodeSet = EMPTY
    unsettled: NodeSet = EMPTY
    """Nodes that were given a new context and have not reported with it."""
    columns: Mapping[str, Columns] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)

    def of(self, uid: str) -> Columns:
        return self.columns.get(uid, NOTHING)

    def with_columns(self, changed: Mapping[str, Columns]) -> World:
        return replace(self, sequence=self.sequence + 1, columns={**self.columns, **changed})
