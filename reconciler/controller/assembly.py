"""The controller put together over its ports: what starts with the daemon, and what happens at which interval."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.controller.compliance import ComplianceWriter
from reconciler.controller.enrolment import Enrolments
from reconciler.controller.intake import NodeIntake
from reconciler.controller.loop import Loop
from reconciler.controller.reconcile import Reconciler
from reconciler.controller.reports import Reports
from reconciler.controller.service import ControllerService
from reconciler.controller.state import State
from reconciler.controller.sync import Sync
from reconciler.core import world as worlds
from reconciler.core.problem import Problem
from reconciler.core.world import NodeEntry, Release, World
from reconciler.execute import Executor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.core.ports import Bus, Clock, Notifier, Proposals, ReportBranch, Source, Store, Timer

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.25
OUTBOX_SECONDS = 1.0
WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside, as the controller reaches it."""

    store: Store
    source: Source
    reports: ReportBranch
    proposals: Proposals
    notifier: Notifier
    clock: Clock
    timer: Timer
    bus: Bus


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this server is. `servers` are the URLs that join tokens carry; `instance` names this daemon to other ones."""

    fleet_id: str
    controller_key: str
    ca_digest: str
    servers: Sequence[str]
    instance: str
    access_signers: bytes = b""


class Controller:
    """Owns the state and the loop. `intake` is for the gateway, `service` for the faces."""

    def __init__(self, ports: Ports, identity: Identity) -> None:
        self._ports = ports
        self._state = state = State(load_world(ports.store, identity.fleet_id))
        store, clock = ports.store, ports.clock
        executor = Executor(store, ports.bus, ports.source, ports.notifier, ports.proposals, clock)
        self._executor = executor
        self._reports = Reports(state, store, clock)
        self._sync = Sync(state, store, ports.source, clock, identity.access_signers)
        self._reconciler = Reconciler(state, executor, ports.source, clock)
        self._loop = loop = Loop(self._settle)
        enrolments = Enrolments(state, store, clock, identity.controller_key, identity.servers, identity.ca_digest)
        self.intake = NodeIntake(state, loop, store, clock, enrolments, self._reports)
        self.service = ControllerService(
            state, loop, store, ports.source, clock, self._sync, self._reconciler, enrolments, executor
        )
        self._compliance = ComplianceWriter(state, loop, store, ports.reports, clock, self._reports, identity.instance)
        self._last: dict[str, int] = {}
        self._hurry = False

    def start(self) -> None:
        """Take up what was in force, then begin to watch. A remote that is down delays nothing."""
        self._loop.start()
        self._loop.call(self._sync.resume)
        self._watch()
        every = self._ports.timer.every
        every(SETTLE_SECONDS, lambda: self._loop.call(lambda: None))
        every(WATCH_SECONDS, self._watch)
        every(OUTBOX_SECONDS, self._work_off)
        every(OUTBOX_SECONDS, self._write_compliance)

    def stop(self) -> None:
        """Work off what is queued, then end; the ports are closed by whoever opened them."""
        self._loop.stop()

    def pushed(self) -> None:
        """A Git host says that there is something new: fetch at the next watch."""
        self._hurry = True

    def _settle(self) -> None:
        self._reports.flush()
        self._reconciler.settle()

    def _watch(self) -> None:
        catalog = self._state.catalog
        interval = catalog.fleet.polling.interval if catalog is not None else 5
        if not self._hurry and not self._due("fetch", interval):
            return
        self._hurry = False
        with contextlib.suppress(Problem):  # the status says why
            self._sync.refresh(self._loop.call)

    def _work_off(self) -> None:
        self._executor.work_off()

    def _write_compliance(self) -> None:
        catalog = self._state.catalog
        if catalog is not None and self._due("compliance", catalog.fleet.compliance.interval):
            self._compliance.write()

    def _due(self, what: str, seconds: int) -> bool:
        """Whether it is time again; if so, the interval begins anew."""
        now = self._ports.clock.now_ms()
        if now - self._last.get(what, -(2**53)) < seconds * 1000:
            return False
        self._last[what] = now
        return True


def load_world(store: Store, fleet_id: str) -> World:
    """World from the store: nodes by bit in the order of the rows, columns, releases, the revision in force."""
    rows = [row for row in store.nodes() if row.retired_at is None]
    entries = [
        NodeEntry(row.id, row.name, dict(row.labels), dict(row.labels), context_digest=row.context_digest)
        for row in rows
    ]
    nodes = worlds.index(entries)
    settings = store.settings()
    return World(
        fleet_id=fleet_id,
        incarnation=store.incarnation,
        revision=settings.get("revision") or None,
        access_revision=settings.get("accessRevision") or None,
        nodes=nodes,
        columns=store.columns(nodes.bits),
        releases={
            row.uid: Release(row.generation, row.body_digest, row.commit, row.held_for) for row in store.releases()
        },
    )


class Wakes:
    """The bus before the gateway is there: `to` is set once it is. Nodes connect only after that."""

    def __init__(self) -> None:
        self.to: Callable[[Iterable[str]], None] = lambda _ids: None

    def wake(self, node_ids: Iterable[str]) -> None:
        self.to(node_ids)
