"""One round: plan what the catalog in force asks of World, gate it, enact what passed, have it committed."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.capabilities.nodes import fleet
from reconciler.core import nodeset
from reconciler.core.access import RECONCILER, Subject
from reconciler.core.effect import Assign, Cause, Hold, Resume
from reconciler.core.pauses import pause
from reconciler.engine import enact as enacting
from reconciler.engine import gate as gating
from reconciler.engine import plan as planning
from reconciler.engine.gate import Limits
from reconciler.engine.handover import obstacles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.controller.keeper import Keeper
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Source
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Gated
    from reconciler.engine.handover import Owned
    from reconciler.engine.plan import Plan

BREATHER = 4
"""A round is not repeated before this many times its own duration has passed, so that reports find the loop free."""
PAUSES = (1, 2, 5, 10, 30)
"""Seconds before a round that failed is tried again, by failures in a row."""


class Planner:
    """Plans, and what the gate says of them. Changes nothing; may be asked from any thread."""

    def __init__(self, state: State, owned: Callable[[str], Owned], clock: Clock) -> None:
        self._state, self._owned, self._clock = state, owned, clock

    def judged(self, catalog: Catalog, world: World, *, allow_removals: int = 0) -> tuple[Plan, Gated]:
        """A catalog against World. Of what the last round planned, only what differs is looked at again."""
        last, gated = self._state.plan, self._state.gated
        plan = planning.plan(catalog, world, last)
        frozen = fleet.frozen(catalog.fleet, self._clock.now_ms())
        limits = Limits(catalog.fleet.max_removals, allow_removals, frozen)
        everyone = plan.nodes.everyone
        seen = replace(world, nodes=plan.nodes)
        in_the_way = obstacles(plan, catalog, seen, self._owned)
        return plan, gating.gate(plan.effects, catalog, seen, lambda _verb, _kind: everyone, limits, gated, in_the_way)


class Reconciler:
    """Moves nodes to the catalog in force. Runs on the loop."""

    def __init__(self, state: State, keeper: Keeper, source: Source, clock: Clock, planner: Planner) -> None:
        self._state, self._keeper, self._source, self._clock = state, keeper, source, clock
        self._planner = planner
        self._next_round = 0.0
        self._failures = 0

    def settle(self) -> None:
        """A round, where anything changed since the last one and it was long enough ago."""
        if self._state.dirty and self._state.catalog is not None and self._clock.elapsed() >= self._next_round:
            self.round(self.cause(RECONCILER, "reconcile"))

    def cause(self, subject: Subject, text: str) -> Cause:
        return Cause(secrets.token_hex(16), self._clock.now_ms(), subject.name, text)

    def round(self, cause: Cause, *, allow_removals: int = 0) -> None:
        """Plan, gate, enact, execute, once. What could not be kept is tried again, with growing pauses."""
        started = self._clock.elapsed()
        try:
            self._round(cause, allow_removals)
        except BaseException:
            self._next_round = self._clock.elapsed() + pause(PAUSES, self._failures)
            self._failures += 1
            raise
        self._failures = 0
        ended = self._clock.elapsed()
        self._next_round = ended + BREATHER * (ended - started)

    def _round(self, cause: Cause, allow_removals: int) -> None:
        state = self._state
        assert state.catalog is not None
        plan, gated = self._planner.judged(state.catalog, state.world, allow_removals=allow_removals)
        world = replace(state.world, nodes=plan.nodes)
        effects = (*gated.effects, *self._failed(gated, world))
        if effects:
            enacted = enacting.enact(world, effects, state.catalog, cause)
            changes = enacted.changes
            changes = replace(changes, bodies={**changes.bodies, **self._files(gated, set(changes.bodies))})
            self._keeper.commit(changes, enacted.world, world.nodes.ids(enacted.touched))
            state.news |= set(changes.states_gone)
        else:
            state.world = world
        state.plan, state.gated, state.failing = plan, gated, set()
        state.dirty = any(isinstance(effect, Hold) for effect in effects)  # what it held waits for another reason

    def _failed(self, gated: Gated, world: World) -> Iterator[Hold]:
        """Holds on what failed in its last wave: nothing waits there to be judged, yet people are told all the same."""
        catalog = self._state.catalog
        assert catalog is not None
        held = {effect.uid for effect in gated.effects if isinstance(effect, Hold)}
        for uid in sorted(self._state.failing & catalog.compiled.keys() - held):
            digest = catalog.compiled[uid].body_digest
            targets = nodeset.size(world.of(uid).on(digest))
            hold = gating.too_many_errors(catalog.resources[uid].spec, world, uid, digest, targets)
            if hold is not None:
                yield hold

    def resume(self, cause: Cause) -> None:
        """Take the holds off what the catalog in force asks for: a person decided that it goes on."""
        state = self._state
        assert state.catalog is not None
        compiled = state.catalog.compiled
        held = [
            Resume(uid, release.body_digest)
            for uid, release in state.world.releases.items()
            if release.held_for and uid in compiled and compiled[uid].body_digest == release.body_digest
        ]
        if held:
            enacted = enacting.enact(state.world, held, state.catalog, cause)
            self._keeper.commit(enacted.changes, enacted.world)

    def _files(self, gated: Gated, fresh: set[str]) -> dict[str, bytes]:
        """Bytes of the files that newly released bodies name, by digest: kept beside them for as long as they run."""
        assert self._state.catalog is not None
        compiled = self._state.catalog.compiled
        named = {
            file.ref.digest: file.blob
            for effect in gated.effects
            if isinstance(effect, Assign) and effect.body_digest in fresh
            for file in compiled[effect.uid].files.values()
        }
        blobs = self._source.blobs(set(named.values()))
        return {digest: blobs[oid] for digest, oid in named.items()}
