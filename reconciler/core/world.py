"""World: what is, in columns. A cache of the store: built at start, changed by the leader only, read as a snapshot.

`Nodes` gives every node a bit; `Columns` holds, for one association, which nodes were given which generation and what
they said of it. All values are frozen; a change makes a new snapshot that shares everything it did not touch.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from itertools import compress
from operator import is_not
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reconciler.core import nodeset
from reconciler.core.jsontext import json_of
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.permits import Permits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
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
    """

    names: tuple[str, ...] = ()
    labels: tuple[Mapping[str, str], ...] = ()
    vars: tuple[Mapping[str, Any], ...] = ()
    withheld: frozenset[str] = frozenset()
    blind: bool = False

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
        )


Holders = NodeSet | tuple[int, ...]
"""Nodes in an index: a few as their positions, so that a label of its own for every node does not cost a set each."""

_FEW = 16


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes by bit, and the indexes that targets are resolved with. `entries[bit]` is None where a node is gone.

    `moving` are those that Git asks another context for than they were given. `declared` is what was joined to the
    entries, all but the `unjoined`, which changed since; `absent` are names in it that no node has. `name_texts` and
    `member_texts` are each node's name, and its `"id":"name"`, as JSON.
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
    absent: tuple[str, ...] = ()

    def labelled(self, key: str, value: str) -> NodeSet:
        return _set_of(self.by_label.get((key, value), EMPTY))

    def having(self, key: str) -> NodeSet:
        return _set_of(self.by_key.get(key, EMPTY))

    def named(self, name: str) -> NodeSet:
        bit = self.by_name.get(name, self.bits.get(name))
        return EMPTY if bit is None else 1 << bit

    def listed(self, names: Iterable[str]) -> NodeSet:
        by_name, bits = self.by_name, self.bits
        found = [by_name[name] if name in by_name else bits.get(name) for name in names]
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


def index(entries: Iterable[NodeEntry | None]) -> Nodes:
    """Nodes with all their indexes."""
    rows = tuple(entries)
    nothing = Nodes((None,) * len(rows), name_texts=(b"",) * len(rows), member_texts=(b"",) * len(rows))
    return _changed(nothing, {bit: entry for bit, entry in enumerate(rows) if entry is not None})


def relabelled(nodes: Nodes, changed: Iterable[NodeEntry]) -> Nodes:
    """Nodes after these entries replaced those of the same id; new ids take new bits. Costs what changed and a copy."""
    at: dict[int, NodeEntry | None] = {}
    fresh: dict[str, int] = {}
    for entry in changed:
        bit = nodes.bits.get(entry.id)
        if bit is None:
            bit = fresh.setdefault(entry.id, len(nodes.entries) + len(fresh))
        at[bit] = entry
    return _changed(nodes, at)


def without(nodes: Nodes, ids: Iterable[str]) -> Nodes:
    """Nodes after these ids left; their bits stay free for the life of the process."""
    return _changed(nodes, {nodes.bits[id_]: None for id_ in ids if id_ in nodes.bits})


def _changed(nodes: Nodes, at: Mapping[int, NodeEntry | None]) -> Nodes:
    """Nodes with these entries at these bits, old or new ones."""
    entries = list(nodes.entries)
    entries += [None] * (max(at, default=-1) + 1 - len(entries))
    identities, names = _Renaming(nodes.bits), _Renaming(nodes.by_name)
    pairs, keys = _Moving(nodes.by_label), _Moving(nodes.by_key)
    renamed, stirred = [], []
    for bit, entry in at.items():
        old, entries[bit] = entries[bit], entry
        before: Mapping[str, str] = old.labels if old is not None else {}
        after: Mapping[str, str] = entry.labels if entry is not None else {}
        if before is not after and before != after:
            pairs.move(bit, before.items(), after.items())
            keys.move(bit, before.keys(), after.keys())
        if old is None or entry is None or old.id != entry.id or old.name != entry.name:
            renamed.append(bit)
            identities.move(bit, old.id if old is not None else None, entry.id if entry is not None else None)
            names.move(bit, old.name if old is not None else None, entry.name if entry is not None else None)
        if entry is not None and not (old is not None and _says_the_same(old, entry)):
            stirred.append(bit)
    changed, without = nodeset.of(at), nodeset.without
    everyone = without(nodes.everyone, changed) | nodeset.of(bit for bit, entry in at.items() if entry is not None)
    moving = nodeset.of(bit for bit, entry in at.items() if entry is not None and entry.moving)
    name_texts, member_texts = _texts(nodes, entries, renamed)
    return replace(
        nodes,
        entries=tuple(entries),
        bits=identities.after(),
        by_name=names.after(),
        by_label=pairs.after(),
        by_key=keys.after(),
        name_texts=name_texts,
        member_texts=member_texts,
        everyone=everyone,
        moving=without(nodes.moving, changed) | moving,
        unjoined=nodes.unjoined & everyone | nodeset.of(stirred),
    )


def _says_the_same(old: NodeEntry, new: NodeEntry) -> bool:
    """Whether at most the contexts differ."""
    return old.name == new.name and old.labels is new.labels and old.vars is new.vars


def _texts(
    nodes: Nodes, entries: Sequence[NodeEntry | None], renamed: Sequence[int]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Names and members as JSON, worked out anew for the bits whose node is called otherwise now."""
    if not renamed:
        return nodes.name_texts, nodes.member_texts
    more = [b""] * (len(entries) - len(nodes.entries))
    names, members = [*nodes.name_texts, *more], [*nodes.member_texts, *more]
    for bit in renamed:
        entry = entries[bit]
        names[bit] = json_of(entry.name) if entry is not None else b""
        members[bit] = json_of(entry.id) + b":" + names[bit] if entry is not None else b""
    return tuple(names), tuple(members)


class _Renaming:
    """A mapping of names to bits, as it changes. Names may be swapped: all are taken before any is given."""

    def __init__(self, before: Mapping[str, int]) -> None:
        self._before = before
        self._taken: list[tuple[str, int]] = []
        self._given: dict[str, int] = {}

    def move(self, bit: int, old: str | None, new: str | None) -> None:
        if old != new:
            if old is not None:
                self._taken.append((old, bit))
            if new is not None:
                self._given[new] = bit

    def after(self) -> Mapping[str, int]:
        if not self._taken and not self._given:
            return self._before
        after = dict(self._before)
        for name, bit in self._taken:
            if after.get(name) == bit:
                del after[name]
        after.update(self._given)
        return after


_Key = TypeVar("_Key", bound=Hashable)


class _Moving(Generic[_Key]):
    """An index of nodes by label, as it changes."""

    def __init__(self, before: Mapping[_Key, Holders]) -> None:
        self._before = before
        self._lost: dict[_Key, list[int]] = {}
        self._gained: dict[_Key, list[int]] = {}

    def move(self, bit: int, old: AbstractSet[_Key], new: AbstractSet[_Key]) -> None:
        for key in old - new if old else ():
            self._lost.setdefault(key, []).append(bit)
        for key in new - old if old else new:
            self._gained.setdefault(key, []).append(bit)

    def after(self) -> Mapping[_Key, Holders]:
        if not self._lost and not self._gained:
            return self._before
        after = dict(self._before)
        for key in self._lost.keys() | self._gained.keys():
            lost, gained = self._lost.get(key, ()), self._gained.get(key, ())
            held = after.pop(key, EMPTY)
            if held or len(gained) > _FEW:
                left = nodeset.without(_set_of(held), nodeset.of(lost))
                after |= _kept(key, left | nodeset.of(gained))
            else:
                after[key] = tuple(sorted(gained))
        return after


def _kept(key: _Key, nodes: NodeSet) -> dict[_Key, Holders]:
    if not nodes:
        return {}
    return {key: tuple(nodeset.positions(nodes)) if nodeset.size(nodes) <= _FEW else nodes}


def _set_of(holders: Holders) -> NodeSet:
    return holders if isinstance(holders, int) else nodeset.of(holders)


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
        given = {held: left for held, was in self.given.items() if (left := nodeset.without(was, nodes))}
        given[body_digest] = given.get(body_digest, EMPTY) | nodes
        return self._forgetting(nodes, given)

    def withdrawn(self, nodes: NodeSet) -> Columns:
        left = {digest: nodeset.without(was, nodes) for digest, was in self.given.items()}
        return self._forgetting(nodes, {digest: kept for digest, kept in left.items() if kept})

    def _forgetting(self, nodes: NodeSet, given: Mapping[str, NodeSet]) -> Columns:
        parts = (self.held, self.reported, self.converged, self.failed, self.drifted)
        return Columns(given, *(nodeset.without(part, nodes) for part in parts))

    def said(self, node: NodeSet, *, converged: bool, failed: bool, drifted: bool) -> Columns:
        """After one node reported on what it was given."""
        without = nodeset.without
        return Columns(
            self.given,
            self.held | node,
            self.reported | node,
            self.converged | node if converged else without(self.converged, node),
            self.failed | node if failed else without(self.failed, node),
            self.drifted | node if drifted else without(self.drifted, node),
        )


@dataclass(frozen=True, slots=True)
class Release:
    """The newest released body of one association. `held_for` is why it goes no further, empty while it does.

    `tolerated` is how many nodes had failed when a person let it go on: they no longer count as errors.
    """

    generation: int
    body_digest: str
    commit: str
    held_for: str = ""
    tolerated: int = 0


NOTHING = Columns()


@dataclass(frozen=True, slots=True)
class World:
    """A snapshot. `sequence` grows with every change; `revision` is the commit in force, None before the first.

    `generations_from` is the lowest generation that may still be released: a store restored from a backup does not know
    which ones were used after it was taken.
    """

    fleet_id: str
    incarnation: int
    sequence: int = 0
    revision: str | None = None
    access_revision: str | None = None
    generations_from: int = 1
    nodes: Nodes = field(default_factory=Nodes)
    online: NodeSet = EMPTY
    unsettled: NodeSet = EMPTY
    """Nodes that were given a new context and have not reported with it."""
    columns: Mapping[str, Columns] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    permits: Mapping[str, Permits] = field(default_factory=dict)

    def of(self, uid: str) -> Columns:
        return self.columns.get(uid, NOTHING)

    @property
    def holding(self) -> NodeSet:
        """Nodes that were given anything."""
        found = EMPTY
        for columns in self.columns.values():
            found |= columns.anywhere
        return found

    def with_columns(self, changed: Mapping[str, Columns]) -> World:
        return replace(self, sequence=self.sequence + 1, columns={**self.columns, **changed})
