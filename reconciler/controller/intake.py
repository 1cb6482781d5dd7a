"""What nodes say and ask: the gateway's port into the controller."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical, instant, milliseconds
from agent.contract.wire import PROTOCOL, VALID_FOR, Assignment, AssignmentSet, Enrolled, Interval
from reconciler.controller.restart import horizon_in, interval_in
from reconciler.core.problem import Refused, Unavailable
from reconciler.core.records import LeaveRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.contract.inventory import Inventoried, Inventory
    from agent.contract.job import Accepted, Compile, Compiled, Output, Revocation, Revoked
    from agent.contract.leave import Ask
    from agent.contract.wire import Enrolment, Held, Hello, Pulse, Report
    from reconciler.controller.commands import CommandDesk
    from reconciler.controller.enrolment import Enrolments
    from reconciler.controller.found_documents import FoundDocuments
    from reconciler.controller.inbox import Inbox
    from reconciler.controller.inventory import InventoryDesk
    from reconciler.controller.loop import Loop
    from reconciler.controller.permits import PermitDesk
    from reconciler.controller.state import State
    from reconciler.core.node_ports import Orders
    from reconciler.core.ports import Clock, Store
    from reconciler.core.records import AssignmentRow, NodeRow

log = logging.getLogger(__name__)
BODIES_REMEMBERED = 4096


class NodeIntake:
    """Implements the `Intake` port. Methods may be called from any thread.

    What only asks is answered from the store on the caller's thread; what changes anything goes through the loop.
    """

    def __init__(
        self,
        state: State,
        loop: Loop,
        store: Store,
        clock: Clock,
        enrolments: Enrolments,
        inbox: Inbox,
        desk: PermitDesk,
        commands: CommandDesk,
        inventory: InventoryDesk,
        found: FoundDocuments,
    ) -> None:
        self._state, self._loop, self._store, self._clock = state, loop, store, clock
        self._enrolments, self._inbox, self._desk, self._commands = enrolments, inbox, desk, commands
        self._inventory, self._found = inventory, found
        self.revoked_tickets: Callable[[str], tuple[Revocation, ...]] = lambda _node_id: ()
        self._files_of: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._remembering = threading.Lock()

    def node_key(self, node_id: str) -> str | None:
        """A retired node may come to hear of it for as long as it would act on its last set; then it is unknown."""
        row = self._store.node(node_id)
        if row is None or (row.retired_at is not None and self._clock.now_ms() > row.retired_at + VALID_FOR * 1000):
            return None
        return row.sign_key

    def enrol(self, request: Enrolment, peer: str) -> Enrolled:
        return self._loop.call(lambda: self._enrolments.enrol(request, peer))

    def connected(self, hello: Hello) -> None:
        row, desired = self._row(hello.node_id), self.desired(hello.node_id)
        self._loop.call(lambda: self._connected(row, hello, desired))

    def disconnected(self, node_id: str) -> None:
        self._loop.post(lambda: self._disconnected(node_id))

    def desired(self, node_id: str) -> AssignmentSet:
        """Read twice where it changed in between: a serial must never stand for two sets."""
        before = None
        row = self._row(node_id)
        while row != before:
            before = row
            found = self._set(row)
            row = self._row(node_id)
        return found

    def held(self, node_id: str, held: Held) -> None:
        self._loop.post(lambda: self._inbox.held(node_id, held))

    def reported(self, node_id: str, report: Report) -> None:
        if report.node_id != node_id:
            raise Refused(f"a report of {report.node_id} came from {node_id}", "report")
        take = self._inbox.report if report.job_id is None else self._commands.reported
        self._kept(lambda durable: take(report, durable))

    def pulsed(self, node_id: str, pulse: Pulse) -> None:
        life, now = self._state.life(node_id), self._clock.now_ms()
        life.last_seen = now
        if pulse.checked_at:
            life.checked_at = pulse.checked_at
            life.looked_at = now - _age(pulse.checked_at, pulse.at)

    def asked(self, node_id: str, ask: Ask) -> None:
        self._loop.post(lambda: self._desk.ask(node_id, ask))

    def accepted(self, node_id: str, accepted: Accepted) -> None:
        self._loop.post(lambda: self._commands.accepted(node_id, accepted, Future()))

    def revoked(self, node_id: str, revoked: Revoked) -> None:
        self._loop.post(lambda: self._commands.revoked(node_id, revoked, Future()))

    def output(self, node_id: str, output: Output, offset: int, data: bytes) -> tuple[int, bool]:
        return self._commands.output(node_id, output, offset, data)

    def inventoried(self, node_id: str, said: Inventory) -> Inventoried:
        return self._inventory.take(node_id, said)

    def compiled(self, node_id: str, question: Compile) -> Compiled:
        return self._found.compiled(node_id, question)

    def orders(self, node_id: str) -> Orders:
        jobs, revocations = self._commands.orders(node_id)
        revocations += self.revoked_tickets(node_id)
        return replace(self._desk.orders(node_id), jobs=jobs, revocations=revocations)

    def content(self, node_id: str, digest: str) -> bytes | None:
        """Bytes that the node's own assignments and jobs name. Anything else does not exist for it."""
        if digest in self._commands.bodies(node_id):
            return self._store.body(digest)
        row = self._store.node(node_id)
        if row is None:
            return None
        bodies = {assignment.body_digest for assignment in self._store.assignments_of(node_id)}
        bodies |= self._commands.bodies(node_id)
        own = digest == row.context_digest or digest in bodies
        if own or any(digest in self._files_named(body) for body in bodies):
            return self._store.body(digest)
        return None

    def _kept(self, take: Callable[[Future[None]], None]) -> None:
        """Have something taken in on the loop, and wait until it is durable."""
        durable: Future[None] = Future()
        self._loop.call(lambda: take(durable))
        durable.result()

    def _row(self, node_id: str) -> NodeRow:
        if self._loop.over:
            raise Unavailable("the controller", self._loop.over)
        row = self._store.node(node_id)
        if row is None:
            raise Refused(f"node {node_id} is not enrolled here", "hello")
        return row

    def _set(self, row: NodeRow) -> AssignmentSet:
        given = self._store.assignments_of(row.id) if row.retired_at is None else ()
        leaves = {leave.uid: leave for leave in self._store.leaves_of(row.id)}
        settings = self._store.settings()
        horizon = horizon_in(settings)
        return AssignmentSet(
            protocol=PROTOCOL,
            fleet_id=self._state.world.fleet_id,
            node_id=row.id,
            incarnation=self._store.incarnation,
            serial=row.serial,
            issued_at=instant(self._clock.now_ms()),
            expires_in=VALID_FOR,
            context_digest=row.context_digest,
            assignments={one.uid: _assignment(one, leaves.get(one.uid, LeaveRow(one.uid)), horizon) for one in given},
            interval=interval_in(settings),
            retire=row.retired_at is not None,
        )

    def _files_named(self, body_digest: str) -> frozenset[str]:
        with self._remembering:
            known = self._files_of.get(body_digest)
        if known is not None:
            return known
        body = self._store.body(body_digest)
        files = json.loads(body).get("files", {}) if body else {}
        known = frozenset(file["digest"] for file in files.values())
        with self._remembering:
            self._files_of[body_digest] = known
            while len(self._files_of) > BODIES_REMEMBERED:
                self._files_of.popitem(last=False)
        return known

    def _connected(self, row: NodeRow, hello: Hello, desired: AssignmentSet) -> None:
        life, now = self._state.life(row.id), self._clock.now_ms()
        life.last_seen, life.greeted_at = now, self._clock.elapsed()
        life.ahead = (hello.incarnation, hello.serial) if _unknown_here(hello, desired) else None
        if life.ahead is not None:
            raise Refused(
                f"{row.name} holds set {hello.incarnation}.{hello.serial}, which this store never gave it",
                "incarnation",
                "if the store was restored from a backup, say so: opsctl serve --restored",
            )
        facts = canonical(hello.facts).decode()
        said = replace(row, agent_version=hello.agent_version, platform=hello.platform, facts=facts)
        if said != row:
            self._inbox.about(replace(said, last_seen=now))
        life.connected, life.connected_at, life.features = True, now, tuple(hello.features)
        set_online(self._state, row.id, online=True)

    def _disconnected(self, node_id: str) -> None:
        life = self._state.life(node_id)
        if life.connected:
            life.connected, life.last_seen = False, self._clock.now_ms()
            self._inbox.seen(node_id, life.last_seen)
        self._desk.forget(node_id)
        if not life.visited:
            set_online(self._state, node_id, online=False)


def set_online(state: State, node_id: str, *, online: bool) -> None:
    """Note that a node can be reached, or cannot. On the loop."""
    node = state.world.nodes.named(node_id)
    state.world = replace(state.world, online=state.world.online | node if online else state.world.online & ~node)
    state.dirty = state.dirty or (bool(node) and state.waits)


def _assignment(given: AssignmentRow, leave: LeaveRow, horizon: int) -> Assignment:
    """An association as a node has it, and what the gate lets it do alone."""
    allowed = [Interval(None, instant(horizon) if horizon else None)]
    return Assignment(given.generation, given.body_digest, leave.permit, allowed, leave.splay, leave.heals)


def _age(earlier: str, later: str) -> int:
    """Milliseconds between two instants of one clock; 0 where they make no sense."""
    try:
        return max(0, milliseconds(later) - milliseconds(earlier))
    except ValueError:
        return 0


def _unknown_here(hello: Hello, desired: AssignmentSet) -> bool:
    """Whether a node holds a set that this store never gave it: a newer one, or another one of the same serial."""
    held, version = (hello.incarnation, hello.serial), (desired.incarnation, desired.serial)
    if held != version or not hello.serial:
        return held > version
    given = {uid: one.body_digest for uid, one in desired.assignments.items()}
    return given != hello.digests or desired.context_digest != hello.context_digest
