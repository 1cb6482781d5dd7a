"""The controller put together over its ports: what starts with the daemon, and what happens at which interval."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from reconciler.controller.automation.beginning import Beginnings
from reconciler.controller.automation.calls import calls
from reconciler.controller.automation.desk import AutomationDesk
from reconciler.controller.automation.errands import Errands
from reconciler.controller.automation.execute_script import ExecuteScript
from reconciler.controller.automation.machines import ACTION as CHANGE_STATE
from reconciler.controller.automation.machines import CREATE_TAGS, EC2, Machines
from reconciler.controller.automation.performing import Performing
from reconciler.controller.automation.run_command import RunCommand
from reconciler.controller.automation.runbooks import Runbooks
from reconciler.controller.automation.runs import AutomationRuns
from reconciler.controller.automation.scheduled import Scheduled
from reconciler.controller.automation.work import Handlers, outside
from reconciler.controller.catalogs import Catalogs
from reconciler.controller.commands import CommandDesk
from reconciler.controller.compliance import ComplianceWriter
from reconciler.controller.document_orders import DocumentOrders
from reconciler.controller.document_runs import DocumentRuns
from reconciler.controller.enrolment import Enrolments
from reconciler.controller.found_documents import FoundDocuments
from reconciler.controller.guests import Guests
from reconciler.controller.holds import Holds
from reconciler.controller.inbox import Inbox
from reconciler.controller.intake import NodeIntake
from reconciler.controller.inventory import InventoryDesk
from reconciler.controller.keeper import Keeper
from reconciler.controller.loop import Loop, ThreadLoop
from reconciler.controller.ownership import Ownership
from reconciler.controller.parameter_policies import ParameterPolicies
from reconciler.controller.parameters import ParameterDesk, no_keys
from reconciler.controller.permissions import Permissions
from reconciler.controller.permits import PermitDesk
from reconciler.controller.presence import Presence
from reconciler.controller.reconcile import Planner, Reconciler
from reconciler.controller.restart import load_state
from reconciler.controller.restart import load_world as load_world
from reconciler.controller.service import ControllerService
from reconciler.controller.sessions import Sessions
from reconciler.controller.shelf import Shelf
from reconciler.controller.ssm import SERVICE, House, SsmApi
from reconciler.controller.sync import Sync
from reconciler.controller.trust import AccessTrust
from reconciler.controller.visits import Visits
from reconciler.core.access import RECONCILER
from reconciler.core.problem import Problem, Refused
from reconciler.documents import built_in
from reconciler.execute import Executor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.core.git_ports import Proposals, ReportBranch
    from reconciler.core.node_ports import Visitor
    from reconciler.core.ports import (
        Bus,
        Clock,
        Notifier,
        OutputStore,
        Outside,
        Renderer,
        Signer,
        Source,
        Store,
        Timer,
        Unseal,
        Verify,
    )

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.25
OUTBOX_SECONDS = 1.0
WATCH_SECONDS = 0.5
DAY = 86_400
POLICY_SECONDS = 60
EFFECTS_KEPT_DAYS = 30
AUDIT_KEPT_DAYS = 400
COMMANDS_KEPT_DAYS = 30
OUTPUTS_KEPT_BYTES = 10 * 1024**3
FIRST_POLLING = 5
"""Seconds between fetches until a first commit says how often."""
LEASE_SECONDS = 30


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
    visitor: Visitor
    renderer: Renderer
    outputs: OutputStore
    outside: Mapping[str, Outside] = field(default_factory=dict)
    """Who does the work of an automation's step elsewhere, by action."""
    library: Callable[[], Mapping[str, tuple[str, bytes]]] = built_in.texts
    """Documents that are built in: by name the file's name and its text."""
    unseal: Unseal = no_keys
    """What opens SecureStrings."""
    seal: tuple[Signer, Verify] | None = None
    """The controller key and the check of what it signed: for tickets. Without it there are no sessions."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this server is. `servers` are the URLs that join tokens carry; `instance` names this daemon to other ones.

    `access_signers` is an OpenSSH allowed-signers file's text; `allow_rewrite` the operator's word, for this once, that
    a rewritten history is meant.
    """

    fleet_id: str
    controller_key: str
    ca_digest: str
    servers: Sequence[str]
    instance: str
    access_signers: bytes = b""
    allow_rewrite: bool = False
    visits_at_once: int = 50


class Controller:
    """Owns the state and the loop. `intake` is for the gateway, `service` for the faces.

    The store's lease is held when it is made, and kept from `start` on. `on_lost` is called when it is somebody else's:
    by then nothing is taken in any more, and all that is left to do is to end.
    """

    def __init__(
        self,
        ports: Ports,
        identity: Identity,
        on_lost: Callable[[Problem], None] = lambda _: None,
        make_loop: Callable[[Callable[[], None]], Loop] = ThreadLoop,
        begin_visit: Callable[[Callable[[], None]], object] | None = None,
        begin_errand: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._ports, self._instance, self._on_lost = ports, identity.instance, on_lost
        store, source, clock = ports.store, ports.source, ports.clock
        self._state = state = load_state(store, identity.fleet_id)
        self._loop = loop = make_loop(self._settle)
        visiting = Wakes()
        bus = Both(ports.bus, visiting)
        self._executor = Executor(store, bus, source, ports.notifier, ports.proposals, clock)
        read = partial(load_world, store, identity.fleet_id)
        self._keeper = keeper = Keeper(state, self._executor, clock, read, self._lost)
        self._inbox = Inbox(state, keeper, store, clock)
        self._holds, self._presence = Holds(state, keeper, clock), Presence(state, clock)
        self._desk = desk = PermitDesk(state, keeper, store, clock)
        self._commands = commands = CommandDesk(state, keeper, store, ports.outputs, clock)
        trust = AccessTrust(source, identity.access_signers, anew=identity.allow_rewrite)
        catalogs = Catalogs(state, source, trust)
        self._sync = Sync(state, loop, keeper, source, catalogs, allow_rewrite=identity.allow_rewrite)
        planner = Planner(state, Ownership(store), clock)
        self._reconciler = reconciler = Reconciler(state, keeper, source, clock, planner)
        enrolments = Enrolments(
            state, keeper, store, clock, identity.controller_key, identity.servers, identity.ca_digest
        )
        guests = Guests(state, loop, store, source, clock, enrolments)
        self.visits = visits = Visits(state, loop, clock, guests, ports.visitor, identity.visits_at_once, begin_visit)
        visiting.to = visits.wake
        permissions = Permissions(state, store, clock)
        inventory = InventoryDesk(loop, keeper, store)
        shelf = Shelf(state, source, ports.library)
        found = FoundDocuments(state, loop, keeper, store, source, clock, commands, shelf)
        self.intake = NodeIntake(state, loop, store, clock, enrolments, self._inbox, desk, commands, inventory, found)
        orders = DocumentOrders(state, source, clock, permissions, shelf)
        runbooks = Runbooks(store)
        blocking = {action: outside(port) for action, port in ports.outside.items()}
        handlers = Handlers(
            blocking=blocking,
            on_nodes={
                "aws:executeScript": ExecuteScript(state, runbooks, source, permissions, shelf, orders),
                "aws:runCommand": RunCommand(shelf, orders, runbooks),
            },
        )
        self._errands = errands = Errands(loop, begin_errand)
        beginnings = Beginnings(state, source, permissions, shelf)
        performing = Performing(handlers, errands, commands, store, clock)
        self._automations = going = AutomationDesk(keeper, store, clock, errands, performing, beginnings, runbooks)
        self._scheduled = Scheduled(state, keeper, store, clock, errands, shelf, beginnings, going)
        automations = AutomationRuns(
            state, loop, store, reconciler, permissions, shelf, orders, beginnings, going, runbooks
        )
        parameters = ParameterDesk(shelf, source, permissions, ports.unseal)
        self.sessions = Sessions(state, store, clock, permissions, shelf, ports.seal, keeper.wake)
        self.intake.revoked_tickets = self.sessions.revocations
        self.service = ControllerService(
            state,
            loop,
            keeper,
            store,
            source,
            ports.renderer,
            catalogs,
            self._sync,
            planner,
            reconciler,
            enrolments,
            permissions,
            visits,
            DocumentRuns(state, loop, reconciler, permissions, commands, shelf, orders, automations),
            automations,
            inventory,
            parameters,
            self.sessions,
        )
        house = House(
            state, loop, source, clock, permissions, shelf, orders, beginnings, commands, going, runbooks, self.service
        )
        machines = Machines(house)
        blocking.update(calls({SERVICE: SsmApi(house), EC2: machines.ec2}, ports.outside))
        blocking |= {CHANGE_STATE: machines.change_state, CREATE_TAGS: machines.create_tags}
        self._policies = ParameterPolicies(state, loop, keeper, store, clock, parameters)
        self._compliance = ComplianceWriter(state, loop, keeper, store, ports.reports, clock, identity.instance)
        self._last: dict[str, float] = {}
        self._jobs: list[Callable[[], None]] = []

    def start(self) -> None:
        """Take up what was in force, then begin to watch. A remote that is down delays nothing."""
        self._loop.start()
        try:
            self._sync.resume(self._reconciler.cause(RECONCILER, "start"))
        except Problem as problem:
            log.warning("what was in force cannot be read yet: %s", problem)
        timer = self._ports.timer
        self._jobs = [
            timer.at(self._ports.clock.now_ms(), self._watch),
            timer.every(LEASE_SECONDS / 3, self._keep_lease),
            timer.every(SETTLE_SECONDS, self._tick),
            timer.every(WATCH_SECONDS, self._watch),
            timer.every(SETTLE_SECONDS, self.visits.tick),
            timer.every(OUTBOX_SECONDS, self._work_off),
            timer.every(OUTBOX_SECONDS, self._write_compliance),
            timer.every(DAY, self._collect),
            timer.every(POLICY_SECONDS, self._policies.look),
        ]

    def stop(self) -> None:
        """Work off what is queued, then end; the ports are closed by whoever opened them."""
        for take_back in self._jobs:
            take_back()
        self._loop.stop()
        self._errands.stop()

    def pushed(self) -> None:
        """A Git host says that there is something new: fetch at the next watch."""
        self._state.hurry = True

    def _settle(self) -> None:
        self._inbox.flush()
        self._keeper.make_sure()
        self._presence.settle()
        self._holds.settle()
        self._sync.renew(self._ports.clock.now_ms())
        self._reconciler.settle()
        self._desk.settle()
        self._commands.settle()
        self._scheduled.settle()
        self._automations.settle()
        self.sessions.settle()

    def _lost(self, problem: Problem) -> None:
        log.critical("%s", problem)
        self._loop.end("another daemon leads")
        self._on_lost(problem)

    def _tick(self) -> None:
        """Let the loop settle: what waited for its time may be due."""
        with suppress(Problem):
            self._loop.call(lambda: None)

    def _keep_lease(self) -> None:
        try:
            self._ports.store.renew_lease(self._instance, self._ports.clock.now_ms(), LEASE_SECONDS)
        except Refused as problem:
            self._keeper.refused(problem)
        except Problem as problem:
            log.warning("the lease was not renewed: %s", problem)

    def _watch(self) -> None:
        catalog = self._state.catalog
        interval = catalog.fleet.polling.interval if catalog is not None else FIRST_POLLING
        if self._loop.over or not (self._state.hurry or self._due("fetch", interval)):
            return
        self._state.hurry = False
        with suppress(Problem):  # the status says why
            self._sync.refresh(self._reconciler.cause(RECONCILER, "watch"))

    def _work_off(self) -> None:
        if self._loop.over:
            return
        try:
            self._executor.work_off()
        except Refused as problem:
            self._keeper.refused(problem)
        except Problem as problem:
            log.warning("the outbox: %s", problem)

    def _collect(self) -> None:
        """Keep the store from growing with time: what nobody needs is forgotten once a day."""
        at, store = self._ports.clock.now_ms(), self._ports.store
        kept = {
            "effects_before": at - EFFECTS_KEPT_DAYS * DAY * 1000,
            "audit_before": at - AUDIT_KEPT_DAYS * DAY * 1000,
            "commands_before": at - COMMANDS_KEPT_DAYS * DAY * 1000,
        }
        try:
            rows = self._loop.call(lambda: store.collect(**kept))
            self._commands.collect(kept["commands_before"], OUTPUTS_KEPT_BYTES)
        except Problem as problem:
            log.warning("what nobody needs is kept for now: %s", problem)
        else:
            log.info("forgot %d rows that nobody needs", rows)

    def _write_compliance(self) -> None:
        catalog = self._state.catalog
        if catalog is not None and not self._loop.over and self._due("compliance", catalog.fleet.compliance.interval):
            self._compliance.write()

    def _due(self, what: str, seconds: float) -> bool:
        """Whether it is time again; if so, the interval begins anew."""
        now = self._ports.clock.elapsed()
        last = self._last.get(what)
        if last is not None and now - last < seconds:
            return False
        self._last[what] = now
        return True


class Both:
    """Two buses as one: nodes that come, and nodes that are gone to."""

    def __init__(self, one: Bus, other: Bus) -> None:
        self._one, self._other = one, other

    def wake(self, node_ids: Iterable[str]) -> None:
        named = tuple(node_ids)
        self._one.wake(named)
        self._other.wake(named)


class Wakes:
    """The bus before the gateway is there: `to` is set once it is. Nodes connect only after that."""

    def __init__(self) -> None:
        self.to: Callable[[Iterable[str]], None] = lambda _ids: None

    def wake(self, node_ids: Iterable[str]) -> None:
        self.to(node_ids)
