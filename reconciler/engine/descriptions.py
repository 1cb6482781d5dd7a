"""Descriptions: nodes whose labels or vars change, grouped by what changes, with what templates on them come to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from agent.contract.canonical import digest_of
from reconciler.core import nodeset
from reconciler.core.effect import Assign, Withdraw
from reconciler.core.jsontext import json_of
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.engine.groups import Group
from reconciler.engine.views import moved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.core.world import World
    from reconciler.engine.difference import Reads
    from reconciler.engine.groups import Sight
    from reconciler.engine.plan import Plan
    from reconciler.engine.views import ClaimView, Moved

Difference = tuple["Moved", ...]


class Follower(NamedTuple):
    """Nodes that have, and keep, a body of an association whose templates may come to something else on them."""

    uid: str
    digest: str
    nodes: NodeSet


class Descriptions:
    """Works out the groups of a Describe."""

    def __init__(self, plan: Plan, world: World, sight: Sight) -> None:
        self._plan, self._world, self._sight = plan, world, sight

    def followers(self, nodes: NodeSet) -> tuple[Follower, ...]:
        """Which bodies of nodes that are described anew may follow."""
        columns = self._world.of
        templated = self._sight.bodies.templated(self._world.columns)
        having = [Follower(uid, digest, columns(uid).on(digest) & nodes) for uid, digest in templated]
        leaving = dict.fromkeys((follower.uid for follower in having), EMPTY)
        for effect in self._plan.effects:
            if isinstance(effect, Assign | Withdraw) and effect.uid in leaving:
                leaving[effect.uid] |= effect.nodes
        keeping = (
            Follower(uid, digest, nodeset.without(there, leaving[uid])) for uid, digest, there in having if there
        )
        return tuple(follower for follower in keeping if follower.nodes)

    def groups(self, nodes: NodeSet, followers: tuple[Follower, ...]) -> Iterator[Group]:
        """Groups of nodes that change alike. Nodes that never had a context, or one that nobody has, are in none."""
        differences = self._differences(nodes)
        follows = self._follows(followers, _by_path(differences))
        alike: dict[tuple[Difference, tuple[bytes, ...]], list[int]] = {}
        for bit, difference in differences.items():
            alike.setdefault((difference, follows.get(bit, ())), []).append(bit)
        for (difference, following), bits in alike.items():
            claims = b",".join([*(json_of(_told(change)) for change in difference), *following])
            yield Group("Describe", "", "", digest_of([*difference]), nodeset.of(bits), b"[" + claims + b"]")

    def _differences(self, nodes: NodeSet) -> dict[int, Difference]:
        found = {}
        reading = self._sight.reading
        for bit in nodeset.positions(nodes):
            given = reading.given(bit)
            if given is not None:
                found[bit] = moved(given, reading.after(bit))
        return found

    def _follows(
        self, followers: tuple[Follower, ...], by_path: Mapping[tuple[str, str], NodeSet]
    ) -> dict[int, tuple[bytes, ...]]:
        """By bit, what new contexts make of templates, association by association, each change as JSON."""
        found: dict[int, tuple[bytes, ...]] = {}
        sight = self._sight
        for uid, digest, nodes in followers:
            body = sight.bodies.of(digest)
            reads = sight.differ.reads(body) if body is not None and body.templates else None
            there = nodes & _concerned(reads, by_path) if reads else EMPTY
            compared = sight.compared(uid, digest, digest)
            for part, bit in sight.reading.parts(there, reads) or () if there else ():
                changes = compared.changes(sight.contexts(bit))
                texts = tuple(json_of(change) for change in changes)
                for one in nodeset.positions(part) if changes else ():
                    found[one] = found.get(one, ()) + texts
        return found


def _by_path(differences: Mapping[int, Difference]) -> dict[tuple[str, str], NodeSet]:
    """By part and key of a context, the nodes on which it changes."""
    bits: dict[tuple[str, str], list[int]] = {}
    for bit, difference in differences.items():
        for change in difference:
            bits.setdefault((change.part, change.key), []).append(bit)
    return {path: nodeset.of(found) for path, found in bits.items()}


def _concerned(reads: Reads, by_path: Mapping[tuple[str, str], NodeSet]) -> NodeSet:
    """The nodes on which anything changes that templates read."""
    found = EMPTY
    for path, nodes in by_path.items():
        if path in reads or path[:1] in reads:
            found |= nodes
    return found


def _told(change: Moved) -> ClaimView:
    sign = "+" if change.old is None else "-" if change.new is None else "~"
    old, new = ("(unset)" if text is None else str(json.loads(text)) for text in (change.old, change.new))
    return {
        "claim": f"{change.part}:{change.key}",
        "sign": sign,
        "step": "",
        "place": "",
        "detail": [f"{old} -> {new}"],
        "diff": "",
        "note": "",
    }
