"""The one hand: commits what was decided, wakes the nodes it touches, and works off the outbox.

Every effect is performed at least once; ports are idempotent on its id. An effect whose port is unavailable stays in
the outbox and is tried again with growing pauses; the audit row after tells how it ended.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.core.pauses import pause
from reconciler.core.problem import Defect, Problem, Refused, Unavailable
from reconciler.core.records import AuditRow, Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.core.git_ports import Proposals
    from reconciler.core.ports import Bus, Clock, Notifier, Source, Store
    from reconciler.core.records import EffectRow

log = logging.getLogger(__name__)

PAUSES = (1, 5, 30, 120, 600)
"""Seconds before an effect that could not be performed is tried again, by attempts made."""


class Executor:
    """Holds the ports. `commit` is for the controller's loop; `work_off` may run on another thread, one at a time."""

    def __init__(
        self, store: Store, bus: Bus, source: Source, notifier: Notifier, proposals: Proposals, clock: Clock
    ) -> None:
        self._store, self._bus, self._source = store, bus, source
        self._notifier, self._proposals, self._clock = notifier, proposals, clock
        self._perform: dict[str, Callable[[EffectRow, dict[str, Any]], str]] = {
            "Notify": self._notify,
            "Propose": self._propose,
        }
        self._again_at: dict[str, float] = {}
        self._asleep: set[str] = set()
        self._waking = threading.Lock()

    def commit(self, changes: Changes, touched: Iterable[str] = ()) -> None:
        """One transaction, then the wake-up: a node woken before the commit would be given what it has."""
        self._store.commit(changes)
        self.wake(touched)

    def work_off(self) -> int:
        """Perform what the outbox holds and is due; how many are left. Raises what the store does."""
        self.wake(())
        rows = self._store.pending_effects()
        left = [row for row in rows if not (self._due(row) and self._attempt(row))]
        self._again_at = {row.id: self._again_at[row.id] for row in left if row.id in self._again_at}
        return len(left)

    def wake(self, touched: Iterable[str]) -> None:
        """Wake these nodes, and those that could not be woken before: what is committed stays so, whoever hears of it.

        A crash in between needs no memory: a node that connects is told what it should hold.
        """
        with self._waking:
            self._asleep.update(touched)
            if not self._asleep:
                return
            try:
                self._bus.wake(sorted(self._asleep))
            except Exception:
                log.exception("%d nodes could not be woken; they will be", len(self._asleep))
            else:
                self._asleep.clear()

    def _due(self, row: EffectRow) -> bool:
        return self._clock.elapsed() >= self._again_at.get(row.id, 0.0)

    def _attempt(self, row: EffectRow) -> bool:
        """Whether the row is finished, well or badly."""
        try:
            outcome = self._outcome(row)
        except Unavailable as problem:
            log.warning("effect %s %s: %s", row.kind, row.id[:12], problem)
            self._postpone(row)
            return False
        audit = AuditRow(self._clock.now_ms(), row.subject, row.kind.lower(), "", outcome, row.id)
        self._store.commit(Changes(effects=(replace(row, outcome=outcome),), audit=(audit,)))
        return True

    def _outcome(self, row: EffectRow) -> str:
        """Perform it. What will not be otherwise the next time is an outcome too: it keeps nobody else waiting."""
        try:
            perform = self._perform.get(row.kind)
            if perform is None:
                raise Defect(f"nobody performs effects of kind {row.kind}")
            return perform(row, json.loads(row.payload))
        except Unavailable:
            raise
        except Problem as problem:
            return str(problem)
        except Exception as error:
            log.exception("effect %s %s", row.kind, row.id[:12])
            return str(Defect(f"{row.kind} failed: {error!r}"))

    def _postpone(self, row: EffectRow) -> None:
        self._again_at[row.id] = self._clock.elapsed() + pause(PAUSES, row.attempts)
        self._store.commit(Changes(effects=(replace(row, attempts=row.attempts + 1),)))

    def _notify(self, row: EffectRow, payload: dict[str, Any]) -> str:
        self._notifier.notify(row.id, payload["subject"], payload["text"], payload["severity"])
        return "notified"

    def _propose(self, row: EffectRow, payload: dict[str, Any]) -> str:
        """Offer the files as they were at the release before this one, on top of the newest commit accepted."""
        uid, earlier = payload["uid"], payload["generation"] - 1
        before = self._store.release(uid, earlier)
        if before is None:
            raise Refused(f"there is no generation {earlier} of {uid} to go back to")
        head = self._source.head()
        if head is None:
            raise Unavailable("the config repository", "nothing was fetched from it yet")
        tree = self._source.tree(before.commit)
        entries = {path: tree.get(path) for path in payload["paths"]}
        blobs = self._source.blobs(entry.oid for entry in entries.values() if entry)
        files = {path: blobs[entry.oid] if entry else None for path, entry in entries.items()}
        branch = f"opsctl/{row.id[:16]}"
        commit = self._proposals.propose(branch, head, files, payload["title"], at=row.created_at)
        return f"proposed {commit[:12]} on {branch}"
