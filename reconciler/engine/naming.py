"""Naming: nodes' ids and names as JSON text, worked out once per node and joined by the thousand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core import nodeset
from reconciler.core.world import Nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.core.world import NodeEntry


@dataclass(frozen=True, slots=True)
class Naming:
    """By bit, each node's name as a JSON text, and its member `"id":"name"` of an object; of `nodes` as they are."""

    nodes: Nodes
    names: Sequence[str]
    members: Sequence[str]

    def listed(self, bits: Iterable[int]) -> str:
        """A JSON list of names."""
        names = self.names
        return "[" + ",".join([names[bit] for bit in bits]) + "]"

    def mapped(self, bits: Iterable[int]) -> str:
        """A JSON object of names by id."""
        members = self.members
        return "{" + ",".join([members[bit] for bit in bits]) + "}"


UNNAMED = Naming(Nodes(), (), ())


def naming(nodes: Nodes, before: Naming = UNNAMED) -> Naming:
    """The names of these nodes. With those of any earlier ones, only nodes whose entries differ are named again."""
    if nodes is before.nodes:
        return before
    known = len(before.nodes.entries)
    again = [bit for bit in nodeset.positions(nodes.unlike(before.nodes)) if bit < known]
    names, members = [*before.names], [*before.members]
    for bit, name, member in zip(again, *_named(nodes.entries[bit] for bit in again), strict=True):
        names[bit], members[bit] = name, member
    more_names, more_members = _named(nodes.entries[known:])
    return Naming(nodes, names + more_names, members + more_members)


def _named(entries: Iterable[NodeEntry | None]) -> tuple[list[str], list[str]]:
    listed = list(entries)
    names = _texts([entry.name if entry is not None else "" for entry in listed])
    ids = _texts([entry.id if entry is not None else "" for entry in listed])
    return names, [f"{id_}:{name}" for id_, name in zip(ids, names, strict=True)]


def _texts(values: list[str]) -> list[str]:
    """Each value as JSON text, all in one call: a text never holds a line feed of its own."""
    return json.dumps(values, ensure_ascii=False, separators=("\n", ":"))[1:-1].split("\n")[: len(values)]
