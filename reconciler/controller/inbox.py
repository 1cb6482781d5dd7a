"""What nodes say: gathered for as long as a batch lasts, absorbed together, durable in one transaction.

Reports are acknowledged only then. Where the transaction fails, World is as it was and nobody is acknowledged: the
nodes send again. What needs no acknowledgement (facts, sets held, when a node was seen) is kept for the next try.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.contract.causes import REMOVED
from reconciler.core.permits import NO_PERMITS, Begun, Run, Word
from reconciler.core.problem import Defect, Problem
from reconciler.core.records import FAILURES, AssignmentRow, AuditRow, Changes, PermitRow
from reconciler.engine import absorb as absorbing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from agent.contract.wire import Held, Report
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.state import Pair, State
    from reconciler.core.ports import Clock, Store
    from reconciler.core.records import NodeRow, StateRow
    from reconciler.core.world import World

log = logging.getLogger(__name__)
DETAIL_LIMIT = 2000


class Inbox:
    """Runs on the loop; `flush` is called once per batch of requests."""

    def __init__(self, state: State, keeper: Keeper, store: Store, clock: Clock) -> None:
        self._state, self._keeper, self._store, self._clock = state, keeper, store, clock
        self._reports: list[tuple[Report, Future[None]]] = []
        self._held: dict[str, Held] = {}
        self._rows: dict[str, NodeRow] = {}
        self._seen: dict[str, int] = {}

    def report(self, report: Report, durable: Future[None]) -> None:
        """Take in a report; `durable` is resolved by the flush that follows."""
        self._state.life(report.node_id).last_seen = self._clock.now_ms()
        self._reports.append((report, durable))

    def held(self, node_id: str, held: Held) -> None:
        """Take in that a node holds a set."""
        self._held[node_id] = held

    def about(self, row: NodeRow) -> None:
        """Take in what a node says of itself."""
        self._rows[row.id] = row

    def seen(self, node_id: str, at: int) -> None:
        """Take in when a node was last here (Unix milliseconds)."""
        self._seen[node_id] = at

    def flush(self) -> None:
        """One transaction for all that waits."""
        reports, self._reports = self._reports, []
        if not (reports or self._held or self._rows or self._seen):
            return
        try:
            self._keeper.make_sure()
            batch = _Batch(self._state.world, self._store, self._clock.now_ms())
            for node_id, held in self._held.items():
                batch.hold(node_id, held)
            for report, durable in reports:
                self._absorb(batch, report, durable)
            batch.close()
            changes = batch.changes(self._rows.values(), self._seen)
            if changes != Changes(at=changes.at):
                self._keeper.commit(changes, batch.world)
        except BaseException as error:
            for _, durable in reports:
                if not durable.done():
                    durable.set_exception(error)
            raise
        self._held, self._rows, self._seen = {}, {}, {}
        self._state.news |= {(row.node_id, row.uid) for row in changes.states}
        self._state.failing |= batch.failing
        self._state.dirty = self._state.dirty or bool(batch.failing) or (bool(changes.reported) and self._state.waits)
        for report, durable in reports:
            if report.cause == REMOVED:
                self._state.life(report.node_id).removed_seq = report.seq
            if not durable.done():
                durable.set_result(None)

    def _absorb(self, batch: _Batch, report: Report, durable: Future[None]) -> None:
        """One report that nobody foresaw stays with its node and stops no other."""
        try:
            batch.returned(report)
            if report.cause == REMOVED:
                batch.remove(report, after=self._state.life(report.node_id).removed_seq)
            else:
                batch.absorb(report)
        except Problem:
            raise
        except Exception as error:
            log.exception("report %d of %s on %s was not taken in", report.seq, report.node_id, report.uid)
            durable.set_exception(Defect(f"a report on {report.uid} was not taken in: {error!r}"))


class _Batch:
    """World as it will be, and the rows that say so. An older word than the last one heard is history."""

    def __init__(self, world: World, store: Store, at: int) -> None:
        self.world = world
        self.failing: set[str] = set()
        self._before, self._store, self._at = world, store, at
        self._given: dict[Pair, AssignmentRow | None] = {}
        self._states: dict[Pair, StateRow] = {}
        self._reported: dict[Pair, AssignmentRow] = {}
        self._held: list[tuple[str, str, str]] = []
        self._permits: dict[Pair, PermitRow] = {}
        self._words: dict[str, dict[int, Word]] = {}
        self._audit: list[AuditRow] = []

    def hold(self, node_id: str, held: Held) -> None:
        if not self.world.online & self.world.nodes.named(node_id):
            return  # it is connected and does nothing: that it has something does not mean that it will act on it
        self.world, rows = absorbing.held(self.world, node_id, held)
        self._held += rows

    def absorb(self, report: Report) -> None:
        pair = (report.node_id, report.uid)
        last = self._reported.get(pair) or self._last(pair)
        if last is None or last.generation != report.generation or last.seq >= report.seq:
            return
        known = self._states.get(pair) or self._store.state(*pair)
        absorbed = absorbing.absorb(self.world, report, known, self._at)
        self.world = absorbed.world
        if not last.reported and any(row.failed for row in absorbed.reported):
            self.failing.add(report.uid)
        self._reported.update((pair, row) for row in absorbed.reported)
        self._states.update((pair, row) for row in absorbed.states)

    def returned(self, report: Report) -> None:
        """A permit comes back with the report of its run, whatever else that report changes."""
        bit = self.world.nodes.bits.get(report.node_id)
        if bit is None or report.run_instant is None:
            return
        run = Run(report.generation, report.run_instant)
        permits = self.world.permits.get(report.uid, NO_PERMITS)
        begun = permits.out.get(bit)
        if begun is None and run.instant and run.instant == permits.instant:
            begun = Begun(run, self._at, self._at)  # it had run out, and counts all the same
        if begun is None or begun.run != run:
            return
        self._words.setdefault(report.uid, {})[bit] = Word(run, report.status in FAILURES)
        row = PermitRow(report.node_id, report.uid, *run, *begun[1:], status=report.status)
        self._permits[report.node_id, report.uid] = row

    def remove(self, report: Report, after: int) -> None:
        """The last word on what the node was rid of: nothing is left to hold it against, so it is written down."""
        if report.seq > after:
            left = "; ".join(f"{claim.claim} {claim.outcome}" for claim in report.claims)[:DETAIL_LIMIT]
            about = ("removed", report.uid, report.status, f"{report.node_id}#{report.seq}", left)
            self._audit.append(AuditRow(self._at, f"node:{report.node_id}", *about))

    def close(self) -> None:
        """All is said: take the permits back together."""
        if self._words:
            known = self.world.permits
            after = {uid: known.get(uid, NO_PERMITS).returned(words) for uid, words in self._words.items()}
            self.world = replace(self.world, sequence=self.world.sequence + 1, permits={**known, **after})

    def changes(self, rows: Iterable[NodeRow], seen: dict[str, int]) -> Changes:
        settled = self._before.unsettled & ~self.world.unsettled
        return Changes(
            at=self._at,
            nodes=tuple(rows),
            unsettled=dict.fromkeys(self.world.nodes.ids(settled), False),
            reported=tuple(self._reported.values()),
            held=tuple(self._held),
            states=tuple(self._states.values()),
            permits=tuple(self._permits.values()),
            seen=seen,
            audit=tuple(self._audit),
        )

    def _last(self, pair: Pair) -> AssignmentRow | None:
        if pair not in self._given:
            self._given[pair] = self._store.assignment(*pair)
        return self._given[pair]
