"""Groups: a plan's effects as groups of nodes on which the same things change, each change with its place in Git."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from agent.contract.canonical import digest_of
from reconciler.core import nodeset
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.engine.difference import ClaimChange, read_body
from reconciler.engine.reading import Reading
from reconciler.engine.views import moved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.core.effect import Effect
    from reconciler.core.problem import Place
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.difference import Claims, Differ, ReadBody, Reads
    from reconciler.engine.memory import Recall
    from reconciler.engine.plan import Plan
    from reconciler.engine.reading import Bodies
    from reconciler.engine.views import Action, Context, Moved


@dataclass(frozen=True, slots=True)
class PlacedChange:
    """A change of one claim of an association, and the file:line in the repository that asks for it."""

    uid: str
    change: ClaimChange
    place: Place | None = None


Shown = tuple[PlacedChange, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes on which one action changes the same things. `old` and `new` are digests of bodies, empty for none."""

    action: Action
    uid: str
    old: str
    new: str
    nodes: NodeSet
    changes: Shown


class Groups:
    """Works out groups effect by effect. Every body is read once; what does not depend on nodes may be recalled."""

    def __init__(
        self,
        plan: Plan,
        catalog: Catalog,
        world: World,
        bodies: Bodies,
        differ: Differ,
        recall: Recall[Shown],
    ) -> None:
        self._plan, self._catalog, self._world = plan, catalog, world
        self._bodies, self._differ, self._recall = bodies, differ, recall
        self._reading = Reading(plan.nodes, catalog, bodies)
        self._desired = {compiled.body_digest: compiled for compiled in catalog.compiled.values()}
        self._read: dict[str, ReadBody | None] = {}

    def of(self, effect: Effect) -> Iterator[Group]:
        """The groups of one effect; none for those that change nothing on nodes."""
        if isinstance(effect, Assign):
            yield from self._moves("Assign", effect.uid, effect.nodes, effect.body_digest)
        elif isinstance(effect, Withdraw):
            yield from self._moves("Remove", effect.uid, effect.nodes, "")
        elif isinstance(effect, Describe):
            yield from self._descriptions(effect.nodes)

    def _moves(self, action: Action, uid: str, nodes: NodeSet, new: str) -> Iterator[Group]:
        """From each body that some of the nodes were given, then from none, to the new one."""
        for old, held in self._world.of(uid).given.items():
            if there := held & nodes:
                nodes &= ~there
                yield from self._alike(Group(action, uid, old, new, there, ()))
        if nodes:
            yield from self._alike(Group(action, uid, "", new, nodes, ()))

    def _alike(self, group: Group) -> Iterator[Group]:
        """The group, parted where templates make different things of different contexts."""
        old, new = self._body(group.old), self._body(group.new)
        rendered = self._rendered(old, new, group.nodes)
        parts = self._reading.parts(rendered, self._reads(old, new)) if rendered else []
        if parts is None:
            rendered, parts = EMPTY, []
        merged: dict[Shown, NodeSet] = {}
        for nodes, entry in parts:
            found = self._shown(group.uid, old, new, self._reading.before(entry), self._reading.after(entry))
            merged[found] = merged.get(found, EMPTY) | nodes
        if others := group.nodes & ~rendered:
            made_of = (self._catalog.compiled.get(group.uid),)
            shown = partial(self._shown, group.uid, old, new)
            found = self._recall((group.uid, group.old, group.new), made_of, shown)
            others |= merged.pop(found, EMPTY) if merged else EMPTY
            yield replace(group, nodes=others, changes=found)
        for found, nodes in merged.items():
            yield replace(group, nodes=nodes, changes=found)

    def _rendered(self, old: ReadBody | None, new: ReadBody | None, nodes: NodeSet) -> NodeSet:
        """The nodes on which what templates come to matters: all where they change, else those with a new context."""
        if new is None or not new.templates:
            return EMPTY
        same = old is not None and old.templates == new.templates
        return nodes & self._plan.nodes.moving if same else nodes

    def _reads(self, *bodies: ReadBody | None) -> Reads | None:
        found: Reads = frozenset()
        for body in bodies:
            reads = self._differ.reads(body) if body is not None else found
            if reads is None:
                return None
            found |= reads
        return found

    def _descriptions(self, nodes: NodeSet) -> Iterator[Group]:
        """Nodes whose labels or vars change, with what templates on them come to."""
        differences: dict[int, tuple[Moved, ...]] = {}
        for bit in nodeset.positions(nodes):
            entry = self._plan.nodes.entries[bit]
            before = self._reading.given(entry) if entry is not None else None
            if entry is not None and before is not None:
                differences[bit] = moved(before, self._reading.now(entry))
        rendered: dict[int, list[PlacedChange]] = {}
        for bit, change in self._rerendered(nodeset.of(differences)):
            rendered.setdefault(bit, []).append(change)
        alike: dict[tuple[tuple[Moved, ...], Shown], list[int]] = {}
        for bit, difference in differences.items():
            alike.setdefault((difference, tuple(rendered.get(bit, ()))), []).append(bit)
        for (difference, follows), bits in alike.items():
            changes = (*(PlacedChange("", _of_context(change)) for change in difference), *follows)
            yield Group("Describe", "", "", digest_of([*difference]), nodeset.of(bits), changes)

    def _rerendered(self, nodes: NodeSet) -> Iterator[tuple[int, PlacedChange]]:
        """What a new context makes of the templates that nodes have and keep."""
        leaving: dict[str, NodeSet] = {}
        for effect in self._plan.effects:
            if isinstance(effect, Assign | Withdraw):
                leaving[effect.uid] = leaving.get(effect.uid, EMPTY) | effect.nodes
        for uid, columns in self._world.columns.items():
            for known, held in columns.given.items():
                there = held & nodes & ~leaving.get(uid, EMPTY)
                body = self._body(known) if there else None
                if body is not None and body.templates:
                    yield from self._rerendered_body(uid, body, there)

    def _rerendered_body(self, uid: str, body: ReadBody, nodes: NodeSet) -> Iterator[tuple[int, PlacedChange]]:
        for part, entry in self._reading.parts(nodes, self._reads(body)) or ():
            changes = self._shown(uid, body, body, self._reading.before(entry), self._reading.after(entry))
            for bit in nodeset.positions(part) if changes else ():
                yield from ((bit, change) for change in changes)

    def _shown(self, uid: str, old: ReadBody | None, new: ReadBody | None, *contexts: Context) -> Shown:
        changes = self._differ.changes(old, new, *contexts)
        return tuple(PlacedChange(uid, change, self._place(uid, change)) for change in changes)

    def _body(self, known: str) -> ReadBody | None:
        """A body that a node was given or is to be given; None for none, and where it is not at hand."""
        if known not in self._read:
            desired = self._desired.get(known)
            data = desired.body if desired is not None else self._bodies(known) if known else None
            claims = _claims(desired) if desired is not None else None
            self._read[known] = read_body(data, claims) if data is not None else None
        return self._read[known]

    def _place(self, uid: str, change: ClaimChange) -> Place | None:
        """Where the repository asks for it: the step's place, or for what concerns no single step the association's."""
        compiled = self._catalog.compiled.get(uid)
        if compiled is None:
            return None
        for placed in compiled.claims:
            if placed.step == change.step or str(placed.claim) == change.claim:
                return placed.place
        document = self._catalog.resources[compiled.document_uid].spec
        places = (document.places.of(ready.loc) for ready in document.steps if ready.step.name == change.step)
        return next(places, compiled.place)


def _of_context(change: Moved) -> ClaimChange:
    sign = "+" if change.old is None else "-" if change.new is None else "~"
    old, new = ("(unset)" if text is None else str(json.loads(text)) for text in (change.old, change.new))
    return ClaimChange(f"{change.part}:{change.key}", sign, "", (f"{old} -> {new}",))


def _claims(compiled: Compiled) -> Claims:
    claims = defaultdict[str, list[str]](list)
    for placed in compiled.claims:
        claims[placed.step].append(str(placed.claim))
    return claims
