"""Nodes as they come, go and are called otherwise: their indexes cost what changed, and a copy."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from reconciler.core import nodeset
from reconciler.core.jsontext import json_of
from reconciler.core.nodes import Holders, Nodes, set_of
from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reconciler.core.nodes import NodeEntry

_FEW = 16
"""Nodes that an index keeps as positions."""


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
    by_name = names.after()
    return replace(
        nodes,
        entries=tuple(entries),
        bits=identities.after(),
        by_name=by_name,
        by_label=pairs.after(),
        by_key=keys.after(),
        name_texts=name_texts,
        member_texts=member_texts,
        everyone=everyone,
        moving=without(nodes.moving, changed) | moving,
        unjoined=nodes.unjoined & everyone | nodeset.of(stirred),
        known_absent=nodes.known_absent if by_name is nodes.by_name else None,
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
                left = nodeset.without(set_of(held), nodeset.of(lost))
                after |= _kept(key, left | nodeset.of(gained))
            else:
                after[key] = tuple(sorted(gained))
        return after


def _kept(key: _Key, nodes: NodeSet) -> dict[_Key, Holders]:
    if not nodes:
        return {}
    return {key: tuple(nodeset.positions(nodes)) if nodeset.size(nodes) <= _FEW else nodes}
