"""The rows of a plan's document: what changes, waits, conflicts and stands, each with its nodes named, as JSON text.

A row is a `Piece`, and is drawn again only where it would show something else than in the drawing before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from reconciler.core import nodeset
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.jsontext import json_of
from reconciler.core.nodes import Nodes
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.engine.bodies import KnownBodies
from reconciler.engine.descriptions import Descriptions
from reconciler.engine.groups import Groups, Sight
from reconciler.engine.memory import Recall
from reconciler.engine.places import StepPlaces
from reconciler.engine.reading import Reading
from reconciler.engine.views import action_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from reconciler.core.effect import Effect
    from reconciler.core.world import Columns, World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.conflicts import Conflict
    from reconciler.engine.descriptions import Follower
    from reconciler.engine.difference import Differ
    from reconciler.engine.gate import Verdict
    from reconciler.engine.groups import Group
    from reconciler.engine.memory import Memory, Parts
    from reconciler.engine.plan import Plan
    from reconciler.engine.reading import Bodies


class Piece(NamedTuple):
    """JSON texts of some rows of a list, and how many nodes they name."""

    texts: tuple[bytes, ...]
    nodes: int


@dataclass(frozen=True, slots=True)
class RowsMemory:
    """What the rows of one drawing keep for those of the one after it."""

    nodes: Nodes = field(default_factory=Nodes)
    offline: NodeSet = EMPTY
    templated: Memory[list[tuple[str, str]]] = field(default_factory=dict)
    claims: Memory[bytes] = field(default_factory=dict)
    pieces: Memory[Piece] = field(default_factory=dict)


class Rows:
    """Draws them. A row is drawn again where what it shows, or an entry of its nodes, differs."""

    def __init__(
        self,
        plan: Plan,
        catalog: Catalog,
        world: World,
        bodies: Bodies,
        differ: Differ,
        before: RowsMemory,
        *,
        live: bool,
    ) -> None:
        self._plan, self._catalog, self._world = plan, catalog, world
        self._nodes = plan.nodes
        self._offline = nodeset.without(plan.nodes.everyone, world.online if live else EMPTY)
        self._moved = plan.nodes.unlike(before.nodes)
        self._renamed = self._moved if plan.nodes.member_texts is not before.nodes.member_texts else EMPTY
        self._turned = self._renamed | (self._offline ^ before.offline)
        self._templated = Recall(before.templated)
        self._claims, self._pieces = Recall(before.claims), Recall(before.pieces)
        reading = Reading(plan.nodes, world.nodes, bodies)
        self._bodies = KnownBodies(catalog, bodies, self._templated)
        sight = Sight(self._bodies, differ, reading, StepPlaces(catalog))
        self._bound = lru_cache(maxsize=1)(action_digest)  # the groups of one effect come one after the other
        self._groups = Groups(plan, catalog, world, sight, self._claims)
        self._descriptions = Descriptions(plan, world, sight)

    @property
    def memory(self) -> RowsMemory:
        return RowsMemory(self._nodes, self._offline, self._templated.memory, self._claims.memory, self._pieces.memory)

    def changes(self, effect: Effect) -> Piece:
        """The groups of one effect, their rows begun but for the commit: it differs with every one."""
        if isinstance(effect, Assign | Withdraw):
            body_digest = effect.body_digest if isinstance(effect, Assign) else ""
            rendered = self._moved if body_digest and self._bodies.may_template(body_digest) else EMPTY
            made_of = (effect.nodes, body_digest, self._world.of(effect.uid), self._catalog.compiled.get(effect.uid))
            key, other = (type(effect), effect.uid), self._turned | rendered
            return self._piece(key, effect.nodes, other, made_of, self._moving, effect)
        if isinstance(effect, Describe):
            followers = self._descriptions.followers(effect.nodes)
            compiled_of = self._catalog.compiled.get
            parts = (effect.nodes, *((*row, compiled_of(row.uid)) for row in followers))
            other = self._turned | self._moved
            return self._piece(Describe, effect.nodes, other, parts, self._described, effect, followers)
        return _NOTHING

    def waiting(self, verdict: Verdict) -> Piece:
        """Who does not get it now, and why."""
        key, made_of = ("waiting", verdict.uid, verdict.rule), (verdict.nodes, verdict.reason)
        return self._piece(key, verdict.nodes, self._renamed, made_of, self._waiting, verdict)

    def standing(self, uid: str, columns: Columns) -> Piece:
        """Who is not as it should be, by its own last word."""
        if not columns.failed and not columns.drifted:
            return _NOTHING
        made_of = (columns.failed, columns.drifted)
        nodes = columns.failed | columns.drifted if self._renamed else EMPTY
        return self._piece(("standing", uid), nodes, self._renamed, made_of, self._standing, uid, columns)

    def conflict(self, conflict: Conflict) -> Piece:
        """What two associations claim on the same nodes."""
        key = ("conflict", conflict.owned, conflict.one.uid, conflict.other.uid)
        return self._piece(key, conflict.nodes, self._renamed, (conflict,), self._conflict, conflict)

    def _waiting(self, verdict: Verdict) -> Piece:
        fields = {"uid": verdict.uid, "rule": verdict.rule, "reason": verdict.reason}
        return self._row(fields, {"nodes": verdict.nodes})

    def _standing(self, uid: str, columns: Columns) -> Piece:
        return self._row({"uid": uid}, {"failed": columns.failed, "drifted": columns.drifted})

    def _conflict(self, conflict: Conflict) -> Piece:
        one, other = ({"uid": side.uid, "place": str(side.place)} for side in (conflict.one, conflict.other))
        return self._row({"owned": conflict.owned, "one": one, "other": other}, {"nodes": conflict.nodes})

    def _row(self, fields: Mapping[str, object], named: Mapping[str, NodeSet]) -> Piece:
        """One row of these fields and of the names of these nodes."""
        texts = self._nodes.name_texts
        row, count = json_of(fields)[:-1], 0
        for name, nodes in named.items():
            bits = nodeset.positions(nodes)
            row += b',"%b":[%b]' % (name.encode(), _joined(texts, bits))
            count += len(bits)
        return Piece((row + b"}",), count)

    def _piece(
        self,
        key: Hashable,
        nodes: NodeSet,
        other: NodeSet,
        made_of: Parts,
        make: Callable[..., Piece],
        *arguments: object,
    ) -> Piece:
        """A piece that shows `nodes`; `other` are those of which it would show something else than before."""
        return self._pieces(key, made_of, make, *arguments, outdated=bool(other and nodes & other))

    def _moving(self, effect: Assign | Withdraw) -> Piece:
        return self._drawn(self._groups.of(effect))

    def _described(self, effect: Describe, followers: tuple[Follower, ...]) -> Piece:
        return self._drawn(self._descriptions.groups(effect.nodes, followers))

    def _drawn(self, groups: Iterable[Group]) -> Piece:
        """Rows without their beginning."""
        texts, count = [], 0
        for action, uid, old, new, nodes, claims in groups:
            bits = nodeset.positions(nodes)
            away = nodes & self._offline
            members = _joined(self._nodes.member_texts, bits)
            unknown = _joined(self._nodes.name_texts, nodeset.positions(away)) if away else b""
            bound = self._bound(action, uid, new)
            head = b'"action":"%b","uid":%b,"actionDigest":"%b"' % (action.encode(), json_of(uid), bound.encode())
            texts.append(_GROUP % (head, old.encode(), new.encode(), members, unknown, claims))
            count += len(bits)
        return Piece(tuple(texts), count)


_GROUP = b'%b,"fromDigest":"%b","toDigest":"%b","nodes":{%b},"unknown":[%b],"claims":%b}'
"""A row of a group, but for its beginning."""


_NOTHING = Piece((), 0)


def _joined(texts: Sequence[bytes], bits: Sequence[int]) -> bytes:
    return b",".join(itemgetter(*bits)(texts) if len(bits) > 1 else [texts[bit] for bit in bits])
