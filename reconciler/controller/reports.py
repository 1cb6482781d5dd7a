"""Reports on their way into the store: absorbed one by one, made durable a batch at a time, then acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.records import AuditRow, Changes
from reconciler.engine import absorb as absorbing

if TYPE_CHECKING:
    from concurrent.futures import Future

    from agent.contract.wire import Report
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Store
    from reconciler.core.records import AssignmentRow, StateRow

DETAIL_LIMIT = 2000


class Reports:
    """Runs on the loop's thread; `flush` is called once per batch of requests.

    World may run ahead of the store between the two. Where the store then fails, nobody is acknowledged and the nodes
    send again: absorbing a report twice changes nothing.
    """

    def __init__(self, state: State, store: Store, clock: Clock) -> None:
        self._state, self._store, self._clock = state, store, clock
        self._waiting: list[tuple[Report, Future[None]]] = []
        self._reported: dict[tuple[str, str], AssignmentRow] = {}
        self._states: dict[tuple[str, str], StateRow] = {}
        self._audit: list[AuditRow] = []

    def take(self, report: Report, durable: Future[None]) -> None:
        """Absorb one report; `durable` is resolved by the flush that follows."""
        state, now = self._state, self._clock.now_ms()
        life = state.life(report.node_id)
        life.last_seen = now
        self._waiting.append((report, durable))
        if report.seq <= life.last_seq:
            return
        pair = (report.node_id, report.uid)
        known = self._states.get(pair) or self._store.state(*pair)
        absorbed = absorbing.absorb(state.world, report, known, now)
        for row in absorbed.reported:
            self._reported[pair] = row
        for state_row in absorbed.states:
            self._states[pair] = state_row
        if report.cause == "Removed":
            self._audit.append(_removed(report, now))
        state.world = absorbed.world
        state.state_changes += len(absorbed.states)
        state.dirty = state.dirty or bool(state.gated and state.gated.verdicts)

    def flush(self) -> None:
        """One transaction for all that waits."""
        waiting, self._waiting = self._waiting, []
        changes = Changes(
            reported=tuple(self._reported.values()), states=tuple(self._states.values()), audit=tuple(self._audit)
        )
        self._reported, self._states, self._audit = {}, {}, []
        try:
            if changes != Changes():
                self._store.commit(changes)
        except BaseException as error:
            for _, durable in waiting:
                durable.set_exception(error)
            raise
        for report, durable in waiting:
            life = self._state.life(report.node_id)
            life.last_seq = max(life.last_seq, report.seq)
            durable.set_result(None)


def _removed(report: Report, at: int) -> AuditRow:
    left = "; ".join(f"{claim.claim} {claim.outcome}" for claim in report.claims)[:DETAIL_LIMIT]
    return AuditRow(at, f"node:{report.node_id}", "removed", report.uid, report.status, "", left)
