"""Groups: a plan's effects as groups of nodes on which the same things change, each change with its place in Git."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from agent.contract.canonical import digest_of
from reconciler.core import nodeset
from reconciler.core.effect import Assign, Describe, Withdraw
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.engine.difference import ClaimChange, may_template, read_body
from reconciler.engine.reading import Reading
from reconciler.engine.views import moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.core.effect import Effect
    from reconciler.core.manifest import Loc, Places
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.difference import Differ, PlaceOf, ReadBody, Reads
    from reconciler.engine.memory import Recall
    from reconciler.engine.plan import Plan
    from reconciler.engine.reading import Bodies
    from reconciler.engine.views import Action, Context, Moved


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


class Groups:
    """Works out groups effect by effect. Every body is read once; what does not depend on nodes may be recalled."""

    def __init__(
        self,
        plan: Plan,
        catalog: Catalog,
        world: World,
        bodies: Bodies,
        differ: Differ,
        recall: Recall[str],
    ) -> None:
        self._plan, self._catalog, self._world = plan, catalog, world
        self._bodies, self._differ, self._recall = bodies, differ, recall
        self._reading = Reading(plan.nodes, bodies)
        self._desired = {compiled.body_digest: compiled for compiled in catalog.compiled.values()}
        self._read: dict[str, ReadBody | None] = {}
        self._places: dict[str, PlaceOf] = {}
        self._texts: dict[tuple[Places, Loc], str] = {}

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
                for part, claims in self._alike(uid, old, new, there):
                    yield Group(action, uid, old, new, part, claims)
        if nodes:
            for part, claims in self._alike(uid, "", new, nodes):
                yield Group(action, uid, "", new, part, claims)

    def _alike(self, uid: str, old_digest: str, new_digest: str, nodes: NodeSet) -> Iterator[tuple[NodeSet, str]]:
        """The nodes with what changes on them, parted where templates make different things of different contexts."""
        old, new = self._body(old_digest), self._body(new_digest)
        rendered = self._rendered(old, new, nodes)
        parts = self._reading.parts(rendered, self._reads(old, new)) if rendered else []
        if parts is None:
            rendered, parts = EMPTY, []
        merged: dict[str, NodeSet] = {}
        if others := nodes & ~rendered:
            made_of = (self._catalog.compiled.get(uid),)
            merged[self._recall((uid, old_digest, new_digest), made_of, partial(self._claims, uid, old, new))] = others
        for part, entry in parts:
            claims = self._claims(uid, old, new, (self._reading.before(entry), self._reading.after(entry)))
            merged[claims] = merged.get(claims, EMPTY) | part
        for claims, part in merged.items():
            yield part, claims

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
        follows: dict[int, tuple[ClaimChange, ...]] = {}
        for part, changes in self._rerendered(nodeset.of(differences)):
            for bit in nodeset.positions(part):
                follows[bit] = follows.get(bit, ()) + changes
        alike: dict[tuple[object, ...], list[int]] = {}
        for bit, difference in differences.items():
            alike.setdefault((difference, follows.get(bit, ())), []).append(bit)
        for bits in alike.values():
            difference = differences[bits[0]]
            claims = _text([*map(_of_context, difference), *follows.get(bits[0], ())])
            yield Group("Describe", "", "", digest_of([*difference]), nodeset.of(bits), claims)

    def _rerendered(self, nodes: NodeSet) -> Iterator[tuple[NodeSet, tuple[ClaimChange, ...]]]:
        """What a new context makes of the templates that nodes have and keep."""
        leaving: dict[str, NodeSet] = {}
        for effect in self._plan.effects:
            if isinstance(effect, Assign | Withdraw):
                leaving[effect.uid] = leaving.get(effect.uid, EMPTY) | effect.nodes
        for uid, columns in self._world.columns.items():
            for known, held in columns.given.items():
                if self._may_template(known) and (there := held & nodes & ~leaving.get(uid, EMPTY)):
                    body = self._body(known)
                    if body is not None and body.templates:
                        yield from self._rerendered_body(uid, body, there)

    def _may_template(self, known: str) -> bool:
        """Whether a body may have templates, told from its bytes where they are at hand."""
        desired = self._desired.get(known)
        return desired is None or may_template(desired.body)

    def _rerendered_body(
        self, uid: str, body: ReadBody, nodes: NodeSet
    ) -> Iterator[tuple[NodeSet, tuple[ClaimChange, ...]]]:
        for part, entry in self._reading.parts(nodes, self._reads(body)) or ():
            contexts = (self._reading.before(entry), self._reading.after(entry))
            if changes := self._differ.changes(body, body, self._place_of(uid), contexts):
                yield part, changes

    def _claims(
        self, uid: str, old: ReadBody | None, new: ReadBody | None, contexts: tuple[Context, Context] | None = None
    ) -> str:
        return _text(self._differ.changes(old, new, self._place_of(uid), contexts))

    def _body(self, known: str) -> ReadBody | None:
        """A body that a node was given or is to be given; None for none, and where it is not at hand."""
        if known not in self._read:
            desired = self._desired.get(known)
            data = desired.body if desired is not None else self._bodies(known) if known else None
            claims = _claims_of(desired) if desired is not None else None
            self._read[known] = read_body(data, claims) if data is not None else None
        return self._read[known]

    def _place_of(self, uid: str) -> PlaceOf:
        """Where the repository asks for a step; for what concerns no step it has, where the association is."""
        if uid not in self._places:
            compiled = self._catalog.compiled.get(uid)
            self._places[uid] = partial(self._place, compiled, {}) if compiled is not None else _nowhere
        return self._places[uid]

    def _place(self, compiled: Compiled, known: dict[str, str], step: str) -> str:
        if not known:
            known.update((placed.step, self._text_of(placed.places, placed.loc)) for placed in compiled.claims)
            known[""] = str(compiled.place)
        if step not in known:
            document = self._catalog.resources[compiled.document_uid].spec
            texts = (self._text_of(document.places, row.loc) for row in document.steps if row.step.name == step)
            known[step] = next(texts, known[""])
        return known[step]

    def _text_of(self, places: Places, loc: Loc) -> str:
        if (places, loc) not in self._texts:
            self._texts[places, loc] = str(places.of(loc))
        return self._texts[places, loc]


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _text(changes: Iterable[ClaimChange]) -> str:
    return _encode([change._asdict() for change in changes])


def _nowhere(_step: str) -> str:
    return ""


def _of_context(change: Moved) -> ClaimChange:
    sign = "+" if change.old is None else "-" if change.new is None else "~"
    old, new = ("(unset)" if text is None else str(json.loads(text)) for text in (change.old, change.new))
    return ClaimChange(f"{change.part}:{change.key}", sign, "", "", (f"{old} -> {new}",))


def _claims_of(compiled: Compiled) -> Mapping[str, Sequence[str]]:
    claims = defaultdict[str, list[str]](list)
    for placed in compiled.claims:
        claims[placed.step].append(str(placed.claim))
    return claims
