"""Groups: what a plan gives and takes, by groups of nodes on which the same things change, with their places in Git."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core import nodeset
from reconciler.core.effect import Assign, Withdraw
from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.core.world import World
    from reconciler.engine.bodies import KnownBodies
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.difference import ClaimChange, Differ, ReadBody
    from reconciler.engine.memory import Recall
    from reconciler.engine.places import StepPlaces
    from reconciler.engine.plan import Plan
    from reconciler.engine.reading import Reading
    from reconciler.engine.views import Action, Context


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes on which one action changes the same things: `claims` is the JSON of a list of `ClaimView`.

    `old` and `new` are digests of bodies, empty for none; `new` of a Describe is its `context_digest`.
    """

    action: Action
    uid: str
    old: str
    new: str
    nodes: NodeSet
    claims: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What grouping looks with: the bodies, how they differ, what templates read on which node, and the places."""

    bodies: KnownBodies
    differ: Differ
    reading: Reading
    places: StepPlaces

    def changes(
        self, uid: str, old: ReadBody | None, new: ReadBody | None, contexts: tuple[Context, Context] | None = None
    ) -> tuple[ClaimChange, ...]:
        """What changes on a node of an association, from one body to another."""
        return self.differ.changes(old, new, self.places.of(uid), contexts)


class Groups:
    """Works out groups effect by effect. What does not depend on nodes is recalled."""

    def __init__(self, plan: Plan, catalog: Catalog, world: World, sight: Sight, recall: Recall[str]) -> None:
        self._plan, self._catalog, self._world = plan, catalog, world
        self._sight, self._recall = sight, recall

    def of(self, effect: Assign | Withdraw) -> Iterator[Group]:
        """From each body that some of the nodes were given, then from none, to the new one."""
        action: Action = "Assign" if isinstance(effect, Assign) else "Remove"
        uid, nodes, new = effect.uid, effect.nodes, effect.body_digest if isinstance(effect, Assign) else ""
        for old, held in self._world.of(uid).given.items():
            if there := held & nodes:
                nodes ^= there
                for part, claims in self._alike(uid, old, new, there):
                    yield Group(action, uid, old, new, part, claims)
        if nodes:
            for part, claims in self._alike(uid, "", new, nodes):
                yield Group(action, uid, "", new, part, claims)

    def _alike(self, uid: str, old_digest: str, new_digest: str, nodes: NodeSet) -> Iterator[tuple[NodeSet, str]]:
        """The nodes with what changes on them, parted where templates make different things of different contexts."""
        sight = self._sight
        old, new = sight.bodies.of(old_digest), sight.bodies.of(new_digest)
        rendered = self._rendered(old, new, nodes)
        parts = sight.reading.parts(rendered, sight.differ.reads(old, new)) if rendered else []
        if parts is None:
            rendered, parts = EMPTY, []
        merged: dict[str, NodeSet] = {}
        if others := nodeset.without(nodes, rendered):
            made_of = (self._catalog.compiled.get(uid),)
            claims = self._recall((uid, old_digest, new_digest), made_of, self._claims, uid, old, new)
            merged[claims] = others
        for part, bit in parts:
            claims = self._claims(uid, old, new, (sight.reading.before(bit), sight.reading.after(bit)))
            merged[claims] = merged.get(claims, EMPTY) | part
        for claims, part in merged.items():
            yield part, claims

    def _rendered(self, old: ReadBody | None, new: ReadBody | None, nodes: NodeSet) -> NodeSet:
        """The nodes on which what templates come to matters: all where they change, else those with a new context."""
        if new is None or not new.templates:
            return EMPTY
        same = old is not None and old.templates == new.templates
        return nodes & self._plan.nodes.moving if same else nodes

    def _claims(
        self, uid: str, old: ReadBody | None, new: ReadBody | None, contexts: tuple[Context, Context] | None = None
    ) -> str:
        return text_of(self._sight.changes(uid, old, new, contexts))


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def text_of(changes: Iterable[ClaimChange]) -> str:
    """Changes as the JSON of a list of `ClaimView`."""
    return _encode([change._asdict() for change in changes])
