"""When nodes are visited that do not come by themselves: their set changed, the interval is over, somebody applies.

Many at once, each on a thread of its own, so that one that does not answer stalls no other; it is tried again with
growing pauses, and people see why.
"""

from __future__ import annotations

import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.controller.intake import set_online
from reconciler.core.problem import Problem, Refused, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.controller.guests import Guests
    from reconciler.controller.loop import Loop
    from reconciler.controller.state import State
    from reconciler.core.node_ports import SshHost, Visitor
    from reconciler.core.ports import Clock
    from reconciler.engine.catalog import Catalog

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0
"""Seconds before a visit that came to nothing is tried again: the first pause, doubled each time up to the last."""
REFUSED_PAUSE = 300.0
"""Seconds where only a person can help; a change of the Node file, or an apply, is tried at once."""
SPLAY = 0.9
"""Visits come after this much of the interval at the earliest, so that they do not stay together."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Appointment:
    """When one node is visited next. Times are seconds of the controller's clock."""

    host: SshHost
    due_at: float
    running: bool = False
    woken_at: float = 0.0
    failures: int = 0
    waits: bool = False


class Visits:
    """A bus, too: who is woken is visited soon. `begin` runs a visit somewhere else than here."""

    def __init__(
        self,
        state: State,
        loop: Loop,
        clock: Clock,
        guests: Guests,
        visitor: Visitor,
        at_once: int,
        begin: Callable[[Callable[[], None]], Any] | None = None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._state, self._loop, self._clock = state, loop, clock
        self._guests, self._visitor, self._at_once, self._draw = guests, visitor, at_once, draw
        self._threads = ThreadPoolExecutor(at_once, "visit")
        self._begin = begin or self._threads.submit
        self._book: dict[str, _Appointment] = {}
        self._catalog: Catalog | None = None
        self._lock = threading.RLock()

    def tick(self) -> None:
        """Begin the visits that are due, as far as there is room."""
        with self._lock:
            if self._loop.over:
                return
            catalog = self._state.catalog
            if catalog is not None and catalog is not self._catalog:
                self._adopt(catalog)
            free = self._at_once - sum(appointment.running for appointment in self._book.values())
            due = sorted(self._due(), key=lambda name: self._book[name].due_at)[:free]
            for name in due:
                self._book[name].running = True
            self._tell()
            begun = [(name, self._book[name]) for name in due]
        for name, appointment in begun:
            self._begin(partial(self._visit, name, appointment))

    def wake(self, node_ids: Iterable[str]) -> None:
        """These nodes' sets changed."""
        with self._lock:
            if not self._book:
                return
            nodes, now = self._state.world.nodes, self._clock.elapsed()
            for node_id in node_ids:
                entry = nodes.entry(node_id)
                appointment = self._book.get(entry.name if entry is not None else self._guests.name_of(node_id))
                if appointment is not None:
                    appointment.woken_at = now
                    appointment.due_at = min(appointment.due_at, now) if not appointment.failures else now
            self._tell()

    def hurry(self) -> frozenset[str]:
        """Somebody applies: visit everybody now, those in a pause too; their names."""
        with self._lock:
            if self._state.catalog is not None:
                self._adopt(self._state.catalog)
            now = self._clock.elapsed()
            for appointment in self._book.values():
                appointment.woken_at = appointment.due_at = now
            self._tell()
            return frozenset(self._book)

    def stop(self) -> None:
        """End the visits under way, and begin no others."""
        with self._lock:
            self._book.clear()
        self._visitor.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    # -- the book ------------------------------------------------------------------------------------------------

    def _due(self) -> list[str]:
        now = self._clock.elapsed()
        return [name for name, one in self._book.items() if not one.running and one.due_at <= now]

    def _tell(self) -> None:
        """Who is being visited, or is about to be, for those who wait for it."""
        running = (name for name, one in self._book.items() if one.running)
        calling = frozenset((*running, *self._due()))
        if calling != self._state.calling:
            self._state.calling = calling

    def _adopt(self, catalog: Catalog) -> None:
        """Go by what Git says now of where nodes are."""
        self._catalog = catalog
        now = self._clock.elapsed()
        for name in self._book.keys() - catalog.visited.keys():
            del self._book[name]
            self._forget(name)
        for name, host in catalog.visited.items():
            appointment = self._book.get(name)
            if appointment is None:
                self._book[name] = _Appointment(host, now)
            elif appointment.host != host or appointment.waits:
                appointment.host, appointment.failures, appointment.waits = host, 0, False
                appointment.due_at = appointment.woken_at = now

    def _forget(self, name: str) -> None:
        """A node that comes by itself from now on, or not at all."""
        self._note(name, "")
        entry = self._state.world.nodes.entry(name)
        if entry is not None:
            life = self._state.life(entry.id)
            life.visited = life.reached = False
            if not life.connected:
                self._loop.post(partial(self._mark, entry.id, reached=False))

    def _note(self, name: str, why: str) -> None:
        known = {other: said for other, said in self._state.unreached.items() if other != name}
        self._state.unreached = {**known, name: why} if why else known

    # -- one visit -----------------------------------------------------------------------------------------------

    def _visit(self, name: str, appointment: _Appointment) -> None:
        """On a thread of its own."""
        problem: Problem | None = None
        try:
            self._go(name, appointment.host)
        except Problem as caught:
            problem = caught
            self._not_reached(name, caught)
        except Exception:
            log.exception("the visit to %s failed", name)
            problem = Refused("a defect of opsctl's own; see the server's log", "visit")
        with self._lock:
            self._settle(name, appointment, problem)
            self._tell()

    def _go(self, name: str, host: SshHost) -> None:
        entry = self._state.world.nodes.entry(name)
        if entry is not None:
            life = self._state.life(entry.id)
            if life.connected:
                raise Waiting("it is connected by itself; stop its opsctl-agent service, or set `transport: websocket`")
            life.visited = True
        guest = self._guests.guest(host)
        node_id = self._visitor.visit(host, guest)
        self._guests.came(node_id)
        self._loop.call(partial(self._mark, node_id, reached=True))
        if self._unanswered(node_id):
            raise Waiting("it has not answered all that it was given")

    def _mark(self, node_id: str, *, reached: bool) -> None:
        """On the loop."""
        self._state.life(node_id).reached = reached
        set_online(self._state, node_id, online=reached)

    def _unanswered(self, node_id: str) -> bool:
        world = self._state.world
        node = world.nodes.named(node_id)
        return any(columns.anywhere & node & ~columns.reported for columns in world.columns.values())

    def _not_reached(self, name: str, problem: Problem) -> None:
        entry = self._state.world.nodes.entry(name)
        if entry is not None and not isinstance(problem, Waiting) and not self._state.life(entry.id).connected:
            self._loop.post(partial(self._mark, entry.id, reached=False))

    def _settle(self, name: str, appointment: _Appointment, problem: Problem | None) -> None:
        """When to come again."""
        now = self._clock.elapsed()
        appointment.running = False
        if self._book.get(name) is not appointment:
            return
        before = self._state.unreached.get(name, "")
        why = str(problem).removeprefix("unavailable: ").removeprefix("waiting: ") if problem is not None else ""
        self._note(name, why)
        if why and why != before:
            log.warning("%s is not visited: %s", name, why)
        if problem is None:
            appointment.failures, appointment.waits = 0, False
            appointment.due_at = now + self._state.interval * self._draw(SPLAY, 1.0)
        else:
            appointment.failures += 1
            appointment.waits = isinstance(problem, Waiting)
            appointment.due_at = now + self._pause(appointment, problem)
        if problem is None and not self._is_done(name, appointment):
            appointment.due_at = now

    def _pause(self, appointment: _Appointment, problem: Problem) -> float:
        if isinstance(problem, Refused):
            return self._draw(REFUSED_PAUSE / 2, REFUSED_PAUSE)
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(appointment.failures - 1, 10))
        return self._draw(longest / 2, longest)

    def _is_done(self, name: str, appointment: _Appointment) -> bool:
        """Whether nothing changed since the node said hello; one that was retired meanwhile is asked about again."""
        entry = self._state.world.nodes.entry(name)
        return entry is not None and appointment.woken_at <= self._state.life(entry.id).greeted_at
