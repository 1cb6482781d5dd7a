"""What nodes say and ask: the gateway's port into the loop."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical, instant
from agent.contract.wire import PROTOCOL, VALID_FOR, Assignment, AssignmentSet, Enrolled, Interval
from reconciler.core.problem import Refused, Unavailable
from reconciler.core.records import Changes
from reconciler.engine import absorb as absorbing

if TYPE_CHECKING:
    from agent.contract.wire import Enrolled, Enrolment, Held, Hello, Pulse, Report
    from reconciler.controller.enrolment import Enrolments
    from reconciler.controller.loop import Loop
    from reconciler.controller.reports import Reports
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Store
    from reconciler.core.world import World

log = logging.getLogger(__name__)
BODIES_REMEMBERED = 4096


class NodeIntake:
    """Implements the `Intake` port. Methods may be called from any thread; state is touched on the loop's only."""

    def __init__(
        self, state: State, loop: Loop, store: Store, clock: Clock, enrolment: Enrolments, reports: Reports
    ) -> None:
        self._state, self._loop, self._store, self._clock = state, loop, store, clock
        self._enrolment, self._reports = enrolment, reports
        self._files_of: OrderedDict[str, frozenset[str]] = OrderedDict()

    def node_key(self, node_id: str) -> str | None:
        row = self._store.node(node_id)
        return row.sign_key if row is not None else None

    def enrol(self, request: Enrolment, peer: str) -> Enrolled:
        return self._loop.call(lambda: self._enrolment.enrol(request, peer))

    def connected(self, hello: Hello) -> None:
        self._loop.call(lambda: self._connected(hello))

    def disconnected(self, node_id: str) -> None:
        self._loop.post(lambda: self._disconnected(node_id))

    def desired(self, node_id: str) -> AssignmentSet:
        return self._loop.call(lambda: self._desired(node_id))

    def held(self, node_id: str, held: Held) -> None:
        self._loop.call(lambda: self._held(node_id, held))

    def reported(self, node_id: str, report: Report) -> None:
        if report.node_id != node_id:
            raise Refused(f"a report of {report.node_id} came from {node_id}", "report")
        durable: Future[None] = Future()
        self._loop.call(lambda: self._reports.take(report, durable))
        durable.result()

    def pulsed(self, node_id: str, pulse: Pulse) -> None:
        self._loop.post(lambda: self._pulsed(node_id, pulse))

    def content(self, node_id: str, digest: str) -> bytes | None:
        """Bytes that the node's own assignments name. Anything else does not exist for it."""
        row = self._store.node(node_id)
        if row is None:
            return None
        bodies = {assignment.body_digest for assignment in self._store.assignments_of(node_id)}
        own = digest == row.context_digest or digest in bodies
        if own or any(digest in self._files_named(body) for body in bodies):
            return self._store.body(digest)
        return None

    def _files_named(self, body_digest: str) -> frozenset[str]:
        known = self._files_of.get(body_digest)
        if known is None:
            body = self._store.body(body_digest)
            files = json.loads(body).get("files", {}) if body else {}
            known = self._files_of[body_digest] = frozenset(file["digest"] for file in files.values())
            while len(self._files_of) > BODIES_REMEMBERED:
                self._files_of.popitem(last=False)
        return known

    def _connected(self, hello: Hello) -> None:
        row = self._store.node(hello.node_id)
        if row is None:
            raise Refused(f"node {hello.node_id} is not enrolled here", "hello")
        if (hello.incarnation, hello.serial) > (self._store.incarnation, row.serial):
            raise Refused(
                f"{row.name} holds set {hello.incarnation}/{hello.serial}, newer than this store's",
                "incarnation",
                "declare a restored store: opsctl serve --restored",
            )
        now = self._clock.now_ms()
        facts = canonical(hello.facts).decode()
        fresh = replace(row, agent_version=hello.agent_version, platform=hello.platform, facts=facts, last_seen=now)
        if replace(fresh, last_seen=row.last_seen) != row:
            self._store.commit(Changes(nodes=(fresh,)))
        life = self._state.life(hello.node_id)
        life.connected_at, life.last_seen = now, now
        if life.last_seq < 0:
            life.last_seq = max((given.seq for given in self._store.assignments_of(hello.node_id)), default=0)
        self._state.world = self._with_online(hello.node_id, online=True)

    def _disconnected(self, node_id: str) -> None:
        life = self._state.life(node_id)
        life.connected_at, life.last_seen = None, self._clock.now_ms()
        self._store.commit(Changes(seen={node_id: life.last_seen}))
        self._state.world = self._with_online(node_id, online=False)

    def _with_online(self, node_id: str, *, online: bool) -> World:
        world = self._state.world
        node = world.nodes.named(node_id)
        self._state.dirty = self._state.dirty or bool(node)
        return replace(world, online=world.online | node if online else world.online & ~node)

    def _desired(self, node_id: str) -> AssignmentSet:
        row = self._store.node(node_id)
        if row is None:
            raise Unavailable(f"node {node_id}", "it is not known here")
        catalog = self._state.catalog
        retired = row.retired_at is not None
        assignments = (
            {}
            if retired
            else {
                given.uid: Assignment(given.generation, given.body_digest, "none", [Interval()])
                for given in self._store.assignments_of(node_id)
            }
        )
        return AssignmentSet(
            protocol=PROTOCOL,
            fleet_id=self._state.world.fleet_id,
            node_id=node_id,
            incarnation=self._store.incarnation,
            serial=row.serial,
            issued_at=instant(self._clock.now_ms()),
            expires_in=VALID_FOR,
            context_digest=row.context_digest,
            assignments=assignments,
            interval=catalog.fleet.agent.interval if catalog is not None else 1800,
            retire=retired,
        )

    def _held(self, node_id: str, held: Held) -> None:
        world, rows = absorbing.held(self._state.world, node_id, held)
        if rows:
            self._store.commit(Changes(held=rows))
        self._state.world = world

    def _pulsed(self, node_id: str, pulse: Pulse) -> None:
        life = self._state.life(node_id)
        life.last_seen = self._clock.now_ms()
        life.checked_at = pulse.checked_at or life.checked_at
