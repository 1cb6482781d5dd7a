"""Conflicts: two associations that own one thing on one node. Cost grows with things claimed twice, not with nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from agent.contract.claims import meet
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
    """Every pair of associations whose claims meet on nodes that both target, ordered by what is owned and by uid."""
    claimants: dict[tuple[str, str], list[_Claimant]] = {}
    for uid in sorted(compiled):
        nodes = targets.get(uid, EMPTY)
        if nodes:
            for placed in compiled[uid].claims:
                claimants.setdefault(placed.claim[:2], []).append(_Claimant(uid, placed, nodes))
    contested = sorted(owned for owned, held in claimants.items() if len(held) > 1)
    return [conflict for owned in contested for conflict in _among(claimants[owned], compiled)]


def _among(claimants: list[_Claimant], compiled: Mapping[str, Compiled]) -> Iterator[Conflict]:
    """Conflicts over one thing. Pairs are looked at only for a claimant that meets what was seen before."""
    whole, any_part = EMPTY, EMPTY
    parts: dict[str, NodeSet] = {}
    for position, late in enumerate(claimants):
        part = late.placed.claim.part
        seen = any_part if late.placed.claim.exclusive else whole | parts.get(part, EMPTY)
        if late.nodes & seen:
            for early in claimants[:position]:
                rivals = early.uid != late.uid and meet(early.placed.claim, late.placed.claim)
                if rivals and (nodes := early.nodes & late.nodes):
                    yield Conflict(_owned(early, late), _side(early, compiled), _side(late, compiled), nodes)
        any_part |= late.nodes
        if late.placed.claim.exclusive:
            whole |= late.nodes
        else:
            parts[part] = parts.get(part, EMPTY) | late.nodes


def _owned(early: _Claimant, late: _Claimant) -> str:
    """The part where both claim the same one, else the whole thing."""
    one, other = early.placed.claim, late.placed.claim
    return str(one) if one == other else one.owned


def _side(claimant: _Claimant, compiled: Mapping[str, Compiled]) -> Side:
    return Side(claimant.uid, claimant.placed.place, compiled[claimant.uid].place)
