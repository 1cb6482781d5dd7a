"""Executions that associations start: once for each change of one, and at the instants of its schedule."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from reconciler.capabilities.nodes import fleet
from reconciler.controller.automation.beginning import VALUES, Beginning, Wanted
from reconciler.core import rate
from reconciler.core.access import acting
from reconciler.core.effect import effect_id, job_id
from reconciler.core.problem import Problem, Unavailable, Waiting
from reconciler.core.records import AuditRow, Changes
from reconciler.engine.automated import Last, automated, due, following, last_in, setting

if TYPE_CHECKING:
    from reconciler.controller.automation.beginning import Beginnings
    from reconciler.controller.automation.desk import AutomationDesk
    from reconciler.controller.automation.errands import Errands
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Store
    from reconciler.core.resource import Resource

log = logging.getLogger(__name__)
AGAIN_SECONDS = 30
"""Until it is looked again at what had to wait: for the store, the repository, or a first node that is selected."""


class Scheduled:
    """Runs on the loop. An instant that finds the execution before it still going on is let pass."""

    def __init__(
        self,
        state: State,
        keeper: Keeper,
        store: Store,
        clock: Clock,
        errands: Errands,
        shelf: Shelf,
        beginnings: Beginnings,
        desk: AutomationDesk,
    ) -> None:
        self._state, self._keeper, self._store, self._clock = state, keeper, store, clock
        self._errands, self._shelf, self._beginnings, self._desk = errands, shelf, beginnings, desk
        self._last: dict[str, Last] | None = None
        self._quiet_until: dict[str, tuple[str, int | None]] = {}

    def settle(self) -> None:
        """Start what is due; nothing while a freeze lasts."""
        catalog, now = self._state.catalog, self._clock.now_ms()
        if catalog is None or catalog.holds_everything or fleet.frozen(catalog.fleet, now):
            return
        for resource in automated(catalog):
            if not self._is_quiet(resource, now):
                self._look(resource, now)

    def _is_quiet(self, resource: Resource, now: int) -> bool:
        """Whether nothing can be due: it is as it was, and its next instant is ahead."""
        fingerprint, until = self._quiet_until.get(resource.uid, ("", 0))
        return fingerprint == resource.fingerprint and (until is None or now < until)

    def _look(self, resource: Resource, now: int) -> None:
        instant = due(resource, self._known().get(resource.uid), now)
        self._quiet_until[resource.uid] = (resource.fingerprint, following(resource, now))
        if instant is None:
            return
        if self._desk.goes_on(resource.uid):
            log.info("%s: an execution still goes on, so that none is started", resource.uid)
            self._remember(resource, instant, "skipped", "the execution before it still goes on")
            return
        prepare = partial(self._beginning, resource, instant)
        self._errands.run(f"{resource.uid}@{instant}", prepare, partial(self._begin, resource, instant))

    def _beginning(self, resource: Resource, instant: int) -> Beginning:
        spec, catalog = resource.spec, self._shelf.catalog()
        nodes = self._state.world.nodes
        if any(target.key != VALUES for target in spec.targets) and not catalog.resolver(nodes)(spec.targets):
            raise Waiting("a node that its targets select")
        document = self._shelf.named(spec.document)
        wanted = Wanted(
            spec.parameters,
            targets=spec.targets,
            parameter=spec.automation_target_parameter_name or "",
            max_concurrency=spec.max_concurrency or rate.DEFAULT_CONCURRENCY,
            max_errors=spec.max_errors or rate.DEFAULT_ERRORS,
        )
        fleet_id = self._state.world.fleet_id
        execution = job_id(instant, effect_id(fleet_id, resource.uid, 0, f"{catalog.commit}@{instant}", 0))
        return self._beginnings.of(
            document, self._shelf.text(document), wanted, acting(resource.uid), execution=execution, at=instant
        )

    def _begin(self, resource: Resource, instant: int, found: Beginning | Problem) -> None:
        quiet = self._quiet_until.pop(resource.uid, ("", 0))
        if isinstance(found, (Unavailable, Waiting)):
            self._quiet_until[resource.uid] = (resource.fingerprint, self._clock.now_ms() + AGAIN_SECONDS * 1000)
            return
        if isinstance(found, Problem):
            log.warning("%s started no execution: %s", resource.uid, found)
            self._remember(resource, instant, "refused", str(found))
        else:
            self._desk.begin(found, setting(resource, instant))
            self._known()[resource.uid] = Last(resource.fingerprint, instant)
        self._quiet_until[resource.uid] = quiet

    def _remember(self, resource: Resource, instant: int, outcome: str, why: str) -> None:
        """That this instant is over, though nothing was started."""
        now = self._clock.now_ms()
        audit = AuditRow(now, resource.uid, "start", resource.spec.document, outcome, "", why[:2000])
        self._keeper.commit(Changes(at=now, audit=(audit,), settings=setting(resource, instant)))
        self._known()[resource.uid] = Last(resource.fingerprint, instant)

    def _known(self) -> dict[str, Last]:
        """The newest start by association, as the store has it."""
        if self._last is None:
            self._last = last_in(self._store.settings())
        return self._last
