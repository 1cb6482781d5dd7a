"""Permits handed out: asks gather, are decided in the order in which they came, and stand in each node's orders.

What was granted is durable before a node hears of it. Who waits is in memory only: agents ask again when they connect.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.contract.canonical import instant
from agent.contract.leave import Ask, Envelope, Hold, Permit, Postponed
from agent.contract.wire import PROTOCOL
from reconciler.capabilities.nodes import fleet
from reconciler.core.node_ports import Orders
from reconciler.core.permits import NO_PERMITS, Begun, Run
from reconciler.core.records import Changes, PermitRow
from reconciler.engine.leave import BEGIN_WITHIN
from reconciler.engine.permits import Request, decide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.controller.keeper import Keeper
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Store
    from reconciler.engine.permits import Decision


class PermitDesk:
    """`ask` and `settle` run on the loop; `orders` may be asked from any thread."""

    def __init__(self, state: State, keeper: Keeper, store: Store, clock: Clock) -> None:
        self._state, self._keeper, self._store, self._clock = state, keeper, store, clock
        self._queues: dict[str, dict[str, Ask]] = {}
        self._answers: dict[str, dict[str, Postponed]] = {}
        self._decided_at: tuple[int, str] | None = None
        self._next_expiry: int | None = None
        self._asked: set[str] = set()

    def ask(self, node_id: str, ask: Ask) -> None:
        """A node waits from now on, unless it did; whoever asks again for what it was granted need not queue.

        Nobody is heard on what it does not have: queues are no longer than the fleet, and no more than associations.
        """
        world = self._state.world
        bit = world.nodes.bits.get(node_id)
        if bit is None or not world.of(ask.uid).anywhere >> bit & 1:
            return
        queue = self._queues.setdefault(ask.uid, {})
        begun = world.permits.get(ask.uid, NO_PERMITS).out.get(bit)
        if begun is not None and begun.run == (ask.generation, ask.run_instant):
            self._queues[ask.uid] = {node_id: ask, **queue}
        else:
            queue[node_id] = ask
        self._asked.add(node_id)

    def forget(self, node_id: str) -> None:
        """The node is gone: it asks again when it is back."""
        for queue in self._queues.values():
            queue.pop(node_id, None)
        self._answers.pop(node_id, None)
        self._asked.discard(node_id)

    def settle(self) -> None:
        """Decide what can be decided. Raises what the store does; then everybody waits as before."""
        now = self._clock.now_ms()
        frozen = self._frozen(now)
        version = (self._state.world.sequence, frozen)
        expired = self._next_expiry is not None and self._next_expiry <= now
        if not any(self._queues.values()) or not (self._asked or expired or version != self._decided_at):
            return
        for uid in [uid for uid, queue in self._queues.items() if queue]:
            self._decide(uid, now, frozen)
        self._decided_at, self._asked = (self._state.world.sequence, frozen), set()
        known = self._state.world.permits
        expiries = [at for uid in self._queues if uid in known and (at := known[uid].expiry()) is not None]
        self._next_expiry = min(expiries, default=None)

    def orders(self, node_id: str) -> Orders:
        """What the node is to know now: it is told again whatever may have been lost on its way."""
        now, world = self._clock.now_ms(), self._state.world
        bit = world.nodes.bits.get(node_id)
        if bit is None:
            return Orders()
        out = ((uid, permits.out.get(bit)) for uid, permits in world.permits.items())
        permits = (self._permit(node_id, uid, begun, now) for uid, begun in out if begun is not None)
        granted = tuple(permit for permit in permits if permit is not None)
        return Orders(self._hold(node_id, now), granted, tuple(self._answers.get(node_id, {}).values()))

    def _decide(self, uid: str, now: int, frozen: str) -> None:
        state, queue = self._state, self._queues[uid]
        catalog, world = state.catalog, state.world
        if catalog is None or uid not in catalog.compiled:
            return
        compiled, spec = catalog.compiled[uid], catalog.resources[uid].spec
        made = decide(spec, compiled, world, self._requests(queue), now, frozen)
        nodes = world.nodes
        names = {bit: entry.id for bit in (*made.granted, *made.over) if (entry := nodes.entries[bit]) is not None}
        before = world.permits.get(uid, NO_PERMITS)
        fresh = {bit: begun for bit, begun in made.granted.items() if before.out.get(bit) != begun}
        if fresh:
            after = replace(world, sequence=world.sequence + 1, permits={**world.permits, uid: before.granted(fresh)})
            rows = tuple(PermitRow(names[bit], uid, *begun.run, *begun[1:]) for bit, begun in fresh.items())
            self._keeper.commit(Changes(at=now, permits=rows), after)
        self._answer(uid, made, names)

    def _requests(self, queue: dict[str, Ask]) -> Iterator[Request]:
        bits = self._state.world.nodes.bits
        for node_id, ask in list(queue.items()):
            if node_id in bits:
                yield Request(bits[node_id], Run(ask.generation, ask.run_instant))

    def _answer(self, uid: str, made: Decision, names: dict[int, str]) -> None:
        """Tell those who are not waiting any more, and those who asked just now why they do."""
        queue, told = self._queues[uid], []
        for bit in made.granted:
            self._answers.get(names[bit], {}).pop(uid, None)
            del queue[names[bit]]
            told.append(names[bit])
        for bit, reason in made.over.items():
            self._postpone(names[bit], queue.pop(names[bit]), reason, over=True)
            told.append(names[bit])
        for node_id in self._asked & queue.keys() if made.waits else ():
            self._postpone(node_id, queue[node_id], made.waits, over=False)
            told.append(node_id)
        if told:
            self._keeper.wake(told)

    def _postpone(self, node_id: str, ask: Ask, reason: str, *, over: bool) -> None:
        answer = Postponed(ask.uid, ask.generation, ask.run_instant, reason, over)
        self._answers.setdefault(node_id, {})[ask.uid] = answer

    def _frozen(self, now: int) -> str:
        catalog = self._state.catalog
        return fleet.frozen(catalog.fleet, now) if catalog is not None else ""

    def _envelope(self, node_id: str, serial: int, now: int, expires_in: int) -> Envelope:
        world = self._state.world
        return Envelope(PROTOCOL, world.fleet_id, node_id, world.incarnation, serial, instant(now), expires_in)

    def _permit(self, node_id: str, uid: str, begun: Begun, now: int) -> Permit | None:
        """A permit as it is now; None where it is too late to begin."""
        left = begun.granted_at // 1000 + BEGIN_WITHIN - now // 1000
        if left <= 0:
            return None
        return Permit(self._envelope(node_id, 0, now, left), uid, *begun.run)

    def _hold(self, node_id: str, now: int) -> Hold | None:
        """The newest hold, for as long as any that was ever put on a node may count there."""
        hold = self._state.hold
        if hold is None or now >= hold.lasting:
            return None
        left = max(1, (hold.lasting - now) // 1000)
        envelope = self._envelope(node_id, hold.number, now, left)
        return Hold(envelope, hold.reason, hold.until or None, lifted=not hold.until)
