"""Policies of parameters as time passes: what stands now is a condition, what begins to stand is told once.

What was told is remembered in the store for as long as it stands, so that neither a restart nor a forgotten effect has
people told of it again.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical
from reconciler.capabilities.apps import parameter
from reconciler.core.condition import Condition
from reconciler.core.effect import effect_id
from reconciler.core.problem import Problem
from reconciler.core.records import Changes, EffectRow
from reconciler.core.resource import uid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.capabilities.apps.parameter import Due
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.loop import Loop
    from reconciler.controller.parameters import ParameterDesk
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Store
    from reconciler.engine.catalog import Catalog

log = logging.getLogger(__name__)
TOLD = "parameterPoliciesTold"
"""The setting with the keys of what people were told of and still stands."""


class ParameterPolicies:
    """`look` is called by the timer."""

    def __init__(
        self, state: State, loop: Loop, keeper: Keeper, store: Store, clock: Clock, desk: ParameterDesk
    ) -> None:
        self._state, self._loop, self._keeper, self._clock, self._desk = state, loop, keeper, clock, desk
        self._told: tuple[str, ...] = tuple(json.loads(store.settings().get(TOLD, "[]")))

    def look(self) -> None:
        """Find out what stands at this instant. A repository that does not answer is asked again next time."""
        catalog = self._state.catalog
        if catalog is None:
            return
        try:
            at = self._clock.now_ms()
            due = list(self._due(catalog, at))
            self._loop.call(lambda: self._tell(due, at))
        except Problem as problem:
            log.warning("policies of parameters were not looked at: %s", problem)

    def _due(self, catalog: Catalog, at: int) -> Iterator[tuple[str, Due]]:
        """What stands, by the resource that says so."""
        described = [draft for draft in catalog.parameters.described.values() if draft.spec.policies]
        stored = self._desk.stored(catalog) if described else None
        for draft in described:
            assert stored is not None
            versions = stored.versions(draft.spec.name)
            changed_at = versions[-1].at if versions else 0
            for found in parameter.due(draft.spec, changed_at or at, at):
                yield uid("Parameter", draft.name), found

    def _tell(self, due: list[tuple[str, Due]], at: int) -> None:
        self._state.parameters_due = tuple(
            Condition(known, "Current", "False", found.reason, found.message) for known, found in due
        )
        keys = {f"{known} {found.reason} {found.since}": found for known, found in due}
        new = [key for key in keys if key not in self._told]
        told = tuple(sorted(keys))
        if told == tuple(sorted(self._told)):
            return
        rows = tuple(self._notice(key, keys[key], at) for key in new)
        self._keeper.commit(Changes(at=at, effects=rows, settings={TOLD: json.dumps(told)}))
        self._told = told

    def _notice(self, key: str, found: Due, at: int) -> EffectRow:
        known = effect_id(self._state.world.fleet_id, key.partition(" ")[0], 0, key, 0)
        text = f"{found.message}. Give it another value, or change its policies."
        payload = {"subject": found.message, "text": text, "severity": found.severity}
        return EffectRow(known, "Notify", canonical(payload).decode(), key, "reconciler", at)
