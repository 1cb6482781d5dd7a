"""Nodes: every node's bit, what is known of it, and the indexes that targets are resolved with."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress, filterfalse
from operator import is_not
from typing import TYPE_CHECKING, Any

from reconciler.core import nodeset
from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node as World knows it.

    `name` is Git's where a Node resource describes it; `enrolled_as` is the one it was enrolled under, kept where the
    two differ. `labels` are the token's (kept apart in `token_labels`) and Git's, Git's winning; `vars` are Git's.
    `context_digest` is the NodeContext that the node was given, `desired_context` the one that Git asks for now, empty
    before Git was asked.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    token_labels: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    context_digest: str = ""
    desired_context: str = ""
    enrolled_as: str = ""

    @property
    def lasting_name(self) -> str:
        """The name that its identity was given under."""
        return self.enrolled_as or self.name

    @property
    def moving(self) -> bool:
        """Whether Git asks for another context than the node was given."""
        return self.desired_context != self.context_digest


@dataclass(frozen=True, slots=True)
class Declared:
    """What Git says of nodes, in columns that are compared at once: `names`, and by each its labels and vars.

    Of the `withheld` names it says what nobody can read; where it is `blind`, these may be any that are not declared.
    The `ephemeral` ones keep nothing between two visits.
    """

    names: tuple[str, ...] = ()
    labels: tuple[Mapping[str, str], ...] = ()
    vars: tuple[Mapping[str, Any], ...] = ()
    withheld: frozenset[str] = frozenset()
    blind: bool = False
    ephemeral: frozenset[str] = frozenset()

    def unlike(self, other: Declared) -> list[int]:
        """Positions at which other labels or vars are declared. The names of both are the same."""
        return sorted({*_unlike(self.labels, other.labels), *_unlike(self.vars, other.vars)})

    def without(self, names: AbstractSet[str]) -> Declared:
        """All but the nodes of these names."""
        kept = [name not in names for name in self.names]
        return Declared(
            tuple(compress(self.names, kept)),
            tuple(compress(self.labels, kept)),
            tuple(compress(self.vars, kept)),
            self.withheld,
            self.blind,
            self.ephemeral - names,
        )


Holders = NodeSet | tuple[int, ...]
"""Nodes in an index: a few as their positions, so that a label of its own for every node does not cost a set each."""


def set_of(holders: Holders) -> NodeSet:
    """An index's nodes, however it keeps them."""
    return holders if isinstance(holders, int) else nodeset.of(holders)


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes by bit, and the indexes that targets are resolved with. `entries[bit]` is None where a node is gone.

    `moving` are those that Git asks another context for than they were given. `declared` is what was joined to the
    entries, all but the `unjoined`, which changed since; `known_absent` is what `absent` was then, None where nodes
    came, went or were renamed since. `name_texts` and `member_texts` are each node's name, and its `"id":"name"`, as
    JSON.
    """

    entries: tuple[NodeEntry | None, ...] = ()
    bits: Mapping[str, int] = field(default_factory=dict)
    by_name: Mapping[str, int] = field(default_factory=dict)
    by_label: Mapping[tuple[str, str], Holders] = field(default_factory=dict)
    by_key: Mapping[str, Holders] = field(default_factory=dict)
    name_texts: tuple[bytes, ...] = ()
    member_texts: tuple[bytes, ...] = ()
    everyone: NodeSet = EMPTY
    moving: NodeSet = EMPTY
    unjoined: NodeSet = EMPTY
    declared: Declared = Declared()
    known_absent: tuple[str, ...] | None = ()

    @property
    def absent(self) -> tuple[str, ...]:
        """Names that are declared and that no node has, sorted."""
        if self.known_absent is not None:
            return self.known_absent
        return tuple(sorted(filterfalse(self.by_name.__contains__, self.declared.names)))

    def labelled(self, key: str, value: str) -> NodeSet:
        return set_of(self.by_label.get((key, value), EMPTY))

    def having(self, key: str) -> NodeSet:
        return set_of(self.by_key.get(key, EMPTY))

    def named(self, name: str) -> NodeSet:
        bit = self.by_name.get(name, self.bits.get(name))
        return EMPTY if bit is None else 1 << bit

    def listed(self, names: Iterable[str]) -> NodeSet:
        by_name, bits = self.by_name, self.bits
        found = [bit if (bit := by_name.get(name)) is not None else bits.get(name) for name in names]
        return nodeset.of([bit for bit in found if bit is not None])

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

    def unlike(self, other: Nodes) -> NodeSet:
        """Nodes whose entry is other than the one that `other` has at their bit."""
        return nodeset.of(_unlike(self.entries, other.entries))


_CHUNK = 64


def _unlike(one: tuple[object, ...], other: tuple[object, ...]) -> list[int]:
    """Positions at which two columns differ, or that only one has. What is the same object costs next to nothing."""
    if one == other:
        return []
    shorter, longer = sorted((len(one), len(other)))
    found: list[int] = []
    for start in range(0, shorter, _CHUNK):
        end = min(start + _CHUNK, shorter)
        here, there = one[start:end], other[start:end]
        if here != there:
            others = compress(range(start, end), map(is_not, here, there))
            found += [at for at in others if one[at] != other[at]]
    return [*found, *range(shorter, longer)]
