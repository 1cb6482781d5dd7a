"""Groups: what a plan gives and takes, by groups of nodes on which the same things change, with their places in Git."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from reconciler.core.effect import Assign, Withdraw
from reconciler.core.jsontext import json_of
from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.core.world import World
    from reconciler.engine.bodies import KnownBodies
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.difference import Comparison, Differ
    from reconciler.engine.memory import Recall
    from reconciler.engine.places import StepPlaces
    from reconciler.engine.plan import Plan
    from reconciler.engine.reading import Reading
    from reconciler.engine.views import Action, Context


class Group(NamedTuple):
    """Nodes on which one action changes the same things: `claims` is the JSON of a list of `ClaimView`.

    `old` and `new` are digests of bodies, empty for none; `new` of a Describe is its `context_digest`.
    """

    action: Action
    uid: str
    old: str
    new: str
    nodes: NodeSet
    claims: bytes


@dataclass(frozen=True, slots=True)
class Sight:
    """What grouping looks with: the bodies, how they differ, what templates read on which node, and the places."""

    bodies: KnownBodies
    differ: Differ
    reading: Reading
    places: StepPlaces

    def compared(self, uid: str, old: str, new: str) -> Comparison:
        """What changes on a node of an association, from the body of one digest to another's."""
        return self.differ.compared(self.bodies.of(old), self.bodies.of(new), self.places.of(uid))

    def contexts(self, bit: int) -> tuple[Context, Context]:
        """What templates read on a node, before and after."""
        return self.reading.before(bit), self.reading.after(bit)


class Groups:
    """Works out groups effect by effect. What does not depend on nodes is recalled."""

    def __init__(self, plan: Plan, catalog: Catalog, world: World, sight: Sight, recall: Recall[bytes]) -> None:
        self._plan, self._catalog, self._world = plan, catalog, world
        self._sight, self._recall = sight, recall

    def of(self, effect: Assign | Withdraw) -> Iterator[Group]:
        """From each body that some of the nodes were given, then from none, to the new one."""
        action: Action = "Assign" if isinstance(effect, Assign) else "Remove"
        uid, nodes, new = effect.uid, effect.nodes, effect.body_digest if isinstance(effect, Assign) else ""
        for old, held in self._world.of(uid).given.items():
            if there := held & nodes:
                nodes ^= there
                for claims, part in self._alike(uid, old, new, there):
                    yield Group(action, uid, old, new, part, claims)
        if nodes:
            for claims, part in self._alike(uid, "", new, nodes):
                yield Group(action, uid, "", new, part, claims)

    def _alike(self, uid: str, old: str, new: str, nodes: NodeSet) -> Iterable[tuple[bytes, NodeSet]]:
        """What changes, with its nodes, parted where templates make different things of different contexts."""
        merged: dict[bytes, NodeSet] = {}
        others = nodes
        for claims, part in self._rendered(uid, old, new, nodes):
            others ^= part
            merged[claims] = merged.get(claims, EMPTY) | part
        if not others:
            return merged.items()
        made_of = (self._catalog.compiled.get(uid),)
        claims = self._recall((uid, old, new), made_of, self._claims, uid, old, new)
        return [(claims, others | merged.pop(claims, EMPTY)), *merged.items()]

    def _rendered(self, uid: str, old_digest: str, new_digest: str, nodes: NodeSet) -> Iterator[tuple[bytes, NodeSet]]:
        """What changes on the nodes on which it matters what templates come to, parted by what these read.

        All where templates change, else those with a new context; none where there are too many parts.
        """
        sight = self._sight
        if not new_digest or not sight.bodies.may_template(new_digest):
            return
        old, new = sight.bodies.of(old_digest), sight.bodies.of(new_digest)
        if new is None or not new.templates:
            return
        if old is not None and old.templates == new.templates:
            nodes &= self._plan.nodes.moving
        if not nodes:
            return
        compared = sight.compared(uid, old_digest, new_digest)
        reads = sight.differ.reads(old, new)
        for part, bit in sight.reading.parts(nodes, reads, before=old is not None) or ():
            yield json_of(compared.changes(sight.contexts(bit))), part

    def _claims(self, uid: str, old: str, new: str) -> bytes:
        """What changes from one body to another wherever no template is rendered."""
        return json_of(self._sight.compared(uid, old, new).changes())
