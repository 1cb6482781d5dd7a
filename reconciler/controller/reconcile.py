"""One round: plan what the catalog in force asks of World, gate it, enact what passed, have it committed."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core.access import RECONCILER, Subject
from reconciler.core.effect import Assign, Cause, Resume
from reconciler.engine import enact as enacting
from reconciler.engine import gate as gating
from reconciler.engine import plan as planning
from reconciler.engine.gate import Limits

if TYPE_CHECKING:
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Source
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Gated, Reach
    from reconciler.engine.plan import Plan
    from reconciler.execute import Executor

BREATHER = 4
"""A round is not repeated before this many times its own duration has passed, so that reports find the thread free."""


class Reconciler:
    """Moves nodes to the catalog in force. Runs on the loop's thread."""

    def __init__(self, state: State, executor: Executor, source: Source, clock: Clock) -> None:
        self._state, self._executor, self._source, self._clock = state, executor, source, clock
        self._next_round = 0.0

    def settle(self) -> None:
        """A round, where anything changed since the last one and it was long enough ago."""
        if self._state.dirty and self._state.catalog is not None and time.monotonic() >= self._next_round:
            self.round(self.cause(RECONCILER, "reconcile"))

    def cause(self, subject: Subject, text: str) -> Cause:
        return Cause(secrets.token_hex(16), self._clock.now_ms(), subject.name, text)

    def judged(self, catalog: Catalog, reach: Reach | None = None, allow_removals: int = 0) -> tuple[Plan, Gated]:
        """The plan of a catalog against World as it is, and what the gate says of it. Changes nothing."""
        plan = planning.plan(catalog, self._state.world)
        world = replace(self._state.world, nodes=plan.nodes)
        limits = Limits(catalog.fleet.max_removals, allow_removals)
        everyone = plan.nodes.everyone
        gated = gating.gate(plan.effects, catalog, world, reach or (lambda _verb, _kind: everyone), limits)
        return plan, gated

    def round(self, cause: Cause, *, allow_removals: int = 0) -> Plan:
        """Plan, gate, enact, execute, once."""
        state = self._state
        assert state.catalog is not None
        started = time.monotonic()
        state.dirty = False
        plan, gated = self.judged(state.catalog, allow_removals=allow_removals)
        state.plan, state.gated = plan, gated
        world = replace(state.world, nodes=plan.nodes, revision=plan.commit)
        if gated.effects:
            enacted = enacting.enact(world, gated.effects, state.catalog, cause)
            changes = enacted.changes
            changes = replace(changes, bodies={**changes.bodies, **self._files(gated, set(changes.bodies))})
            self._executor.commit(changes, world.nodes.ids(enacted.touched))
            world = enacted.world
        state.world = world
        self._next_round = time.monotonic() + BREATHER * (time.monotonic() - started)
        return plan

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
            self._executor.commit(enacted.changes)
            state.world = enacted.world

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
