"""The one hand: commits what was decided, wakes the nodes it touches, and works off the outbox.

Every effect is performed at least once; ports are idempotent on its id. An effect whose port is unavailable stays in
the outbox and is tried again with growing pauses; the audit row after tells how it ended.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Problem, Refused, Unavailable
from reconciler.core.records import AuditRow, Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.core.ports import Bus, Clock, Notifier, Proposals, Source, Store
    from reconciler.core.records import EffectRow

log = logging.getLogger(__name__)

PAUSES = (1, 5, 30, 120, 600)
"""Seconds before an unavailable port is asked again, by attempts made; the last repeats."""


class Executor:
    """Holds the ports. Used from the controller's thread; `work_off` may run on another one."""

    def __init__(
        self, store: Store, bus: Bus, source: Source, notifier: Notifier, proposals: Proposals, clock: Clock
    ) -> None:
        self._store, self._bus, self._source = store, bus, source
        self._notifier, self._proposals, self._clock = notifier, proposals, clock
        self._perform: dict[str, Callable[[EffectRow, dict[str, Any]], str]] = {
            "Notify": self._notify,
            "Propose": self._propose,
        }

    def commit(self, changes: Changes, touched: Iterable[str] = ()) -> None:
        """One transaction, then the wake-up: a node woken before the commit would be given what it has."""
        self._store.commit(changes)
        self._bus.wake(touched)

    def work_off(self) -> int:
        """Perform what the outbox holds and is due; how many are left."""
        left = 0
        for row in self._store.pending_effects():
            if self._due(row) and self._attempt(row):
                continue
            left += 1
        return left

    def _due(self, row: EffectRow) -> bool:
        pauses = sum(PAUSES[min(attempt, len(PAUSES) - 1)] for attempt in range(row.attempts))
        return self._clock.now_ms() >= row.created_at + pauses * 1000

    def _attempt(self, row: EffectRow) -> bool:
        """Whether the row is finished, well or badly."""
        try:
            outcome = self._perform[row.kind](row, json.loads(row.payload))
        except Unavailable as problem:
            log.warning("effect %s %s: %s", row.kind, row.id[:12], problem)
            self._store.commit(Changes(effects=(replace(row, attempts=row.attempts + 1),)))
            return False
        except Problem as problem:
            outcome = str(problem)
        audit = AuditRow(self._clock.now_ms(), row.subject, row.kind.lower(), "", outcome, row.id)
        self._store.commit(Changes(effects=(replace(row, outcome=outcome),), audit=(audit,)))
        return True

    def _notify(self, row: EffectRow, payload: dict[str, Any]) -> str:
        self._notifier.notify(row.id, payload["subject"], payload["text"], payload["severity"])
        return "notified"

    def _propose(self, row: EffectRow, payload: dict[str, Any]) -> str:
        """Offer the files as they were at the release before this one."""
        before = self._store.release(payload["uid"], payload["generation"] - 1)
        if before is None:
            raise Refused(f"no release of {payload['uid']} before generation {payload['generation']} to go back to")
        head = self._source.fetch()
        if head is None:
            raise Unavailable("the config repository", "it is empty")
        tree = self._source.tree(before.commit)
        entries = {path: tree.get(path) for path in payload["paths"]}
        blobs = self._source.blobs(entry.oid for entry in entries.values() if entry)
        files = {path: blobs[entry.oid] if entry else None for path, entry in entries.items()}
        branch = f"opsctl/{row.id[:16]}"
        commit = self._proposals.propose(branch, head, files, payload["title"], at=row.created_at)
        return f"proposed {commit[:12]} on {branch}"
