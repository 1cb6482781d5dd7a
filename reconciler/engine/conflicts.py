"""Conflicts: two associations that own one thing on one node. Cost grows with things claimed twice, not with nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reconciler.core import nodeset
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

    def __str__(self) -> str:
        one, other, count = self.one, self.other, nodeset.size(self.nodes)
        return (
            f"{one.place}: conflict: {self.owned} is claimed by {one.uid}, and by {other.uid} at {other.place}; "
            f"neither is newly given to {count} node{'s' * (count != 1)}"
        )


class _Claimant(NamedTuple):
    uid: str
    placed: Placed
    nodes: NodeSet


Thing: TypeAlias = tuple[str, str]
"""What is owned as a whole: kind and name of a claim."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who claims what, on whichever nodes: it changes with documents and parameters, not with targets."""

    compiled: Mapping[str, Compiled] = field(default_factory=dict)
    by_thing: Mapping[Thing, tuple[tuple[str, Placed], ...]] = field(default_factory=dict)


NOBODY = Claims()


def claims(compiled: Mapping[str, Compiled], before: Claims = NOBODY) -> Claims:
    """The claims of these associations. With those of any earlier ones, only what differs is looked at."""
    changed = [uid for uid, now in compiled.items() if before.compiled.get(uid) is not now]
    gone = before.compiled.keys() - compiled.keys()
    if not changed and not gone:
        return Claims(compiled, before.by_thing)
    by_thing = dict(before.by_thing)
    for uid in (*changed, *gone):
        earlier = before.compiled.get(uid)
        for thing in {placed.claim[:2] for placed in earlier.claims} if earlier is not None else ():
            by_thing[thing] = tuple(claimant for claimant in by_thing[thing] if claimant[0] != uid)
            if not by_thing[thing]:
                del by_thing[thing]
    for uid in changed:
        for placed in compiled[uid].claims:
            thing, claimant = placed.claim[:2], (uid, placed)
            by_thing[thing] = (*by_thing[thing], claimant) if thing in by_thing else (claimant,)
    return Claims(compiled, by_thing)


def conflicts(compiled: Mapping[str, Compiled], targets: Mapping[str, NodeSet]) -> list[Conflict]:
    """Conflicts ordered by what is owned, such that every contested claim of every association is in at least one.

    Not every pair: of many that claim one thing on one node, each is named once with one of the others.
    """
    return meeting(claims(compiled), targets)


def meeting(claimed: Claims, targets: Mapping[str, NodeSet]) -> list[Conflict]:
    """As `conflicts`, of claims that are known already."""
    contested = sorted(thing for thing, claimants in claimed.by_thing.items() if len(claimants) > 1)
    found: list[Conflict] = []
    for thing in contested:
        claimants = sorted(claimed.by_thing[thing], key=itemgetter(0))
        there = [_Claimant(uid, placed, nodes) for uid, placed in claimants if (nodes := targets.get(uid, EMPTY))]
        found += _among(there, claimed.compiled)
    return found


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
