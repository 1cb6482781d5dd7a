"""Conflicts: two associations that own one thing on one node. Cost grows with things claimed twice, not with nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.core.problem import Place
    from reconciler.documents.compile import Placed


@dataclass(frozen=True, slots=True)
class Side:
    """One of two owners: the association and its step's place in the document; `declared` is the association's."""

    uid: str
    place: Place
    declared: Place


@dataclass(frozen=True, slots=True)
class Conflict:
    """`owned` (as `path:/etc/motd`) is claimed by both on these nodes. `one` comes before `other` by uid."""

    owned: str
    one: Side
    other: Side
    nodes: NodeSet


class _Claimant(NamedTuple):
    uid: str
    placed: Placed
    nodes: NodeSet


def conflicts(compiled: Mapping[str, Compiled], targets: Mapping[str, NodeSet]) -> list[Conflict]:
    """Conflicts ordered by what is owned, such that every contested claim of every association is in at least one.

    Not every pair: of many that claim one thing on one node, each is named once with one of the others.
    """
    claimants: dict[tuple[str, str], list[_Claimant]] = {}
    for uid in sorted(compiled):
        nodes = targets.get(uid, EMPTY)
        if nodes:
            for placed in compiled[uid].claims:
                claimants.setdefault(placed.claim[:2], []).append(_Claimant(uid, placed, nodes))
    contested = sorted(owned for owned, held in claimants.items() if len(held) > 1)
    return [conflict for owned in contested for conflict in _among(claimants[owned], compiled)]


class _Holders:
    """Claimants of one thing, or of one part of it, that came before; each node is there by its first."""

    __slots__ = ("claimants", "nodes")

    def __init__(self) -> None:
        self.claimants: list[_Claimant] = []
        self.nodes: NodeSet = EMPTY

    def add(self, claimant: _Claimant) -> None:
        self.claimants.append(claimant)
        self.nodes |= claimant.nodes

    def meeting(self, late: _Claimant) -> Iterator[tuple[_Claimant, NodeSet]]:
        """Enough of the earlier ones to name every node that `late` meets."""
        left = self.nodes & late.nodes
        for early in self.claimants if left else ():
            if early.uid != late.uid and (nodes := early.nodes & left):
                yield early, nodes
                left &= ~nodes
            if not left:
                return


def _among(claimants: list[_Claimant], compiled: Mapping[str, Compiled]) -> Iterator[Conflict]:
    """Conflicts over one thing: who claims the whole meets everybody, who claims a part meets the same part."""
    whole = _Holders()
    parts: dict[str, _Holders] = {}
    for late in claimants:
        claim = late.placed.claim
        own = whole if claim.exclusive else parts.setdefault(claim.part, _Holders())
        for holders in (whole, *parts.values()) if claim.exclusive else (whole, own):
            for early, nodes in holders.meeting(late):
                yield Conflict(_owned(early, late), _side(early, compiled), _side(late, compiled), nodes)
        own.add(late)


def _owned(early: _Claimant, late: _Claimant) -> str:
    """The part where both claim the same one, else the whole thing."""
    one, other = early.placed.claim, late.placed.claim
    return str(one) if one == other else one.owned


def _side(claimant: _Claimant, compiled: Mapping[str, Compiled]) -> Side:
    return Side(claimant.uid, claimant.placed.place, compiled[claimant.uid].place)
