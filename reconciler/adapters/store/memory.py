"""The store in memory: the same words and the same refusals, for running the reconciler without a database."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.adapters.store.memory_tables import Tables
from reconciler.adapters.store.rules import files_named_by, led_by, lost_to, not_held
from reconciler.core import nodeset
from reconciler.core.nodeset import EMPTY
from reconciler.core.world import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.core import records
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.executions import ExecutionRow


@dataclass(slots=True)
class MemoryState:
    """What a disk would keep: hand it to a second `MemoryStore` to open the same fleets again."""

    fleets: dict[str, Tables] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


class MemoryStore:
    """The `Store` of one fleet of a `MemoryState`."""

    def __init__(self, fleet_id: str, at: int, state: MemoryState | None = None) -> None:
        self._state = state or MemoryState()
        with self._state.lock:
            self._tables = self._state.fleets.setdefault(fleet_id, Tables(at))
        self._fence: int | None = None

    @property
    def incarnation(self) -> int:
        return self._tables.incarnation

    def declare_restored(self, at: int) -> int:
        with self._state.lock:
            self._check_lease()
            self._tables.incarnation = max(at, self._tables.incarnation + 1)
            return self._tables.incarnation

    def commit(self, changes: records.Changes) -> None:
        with self._state.lock:
            self._check_lease()
            self._tables.commit(changes)

    def collect(self, *, effects_before: int = 0, audit_before: int = 0, commands_before: int = 0) -> int:
        with self._state.lock:
            self._check_lease()
            tables = self._tables
            runs = tables.forget_commands(commands_before) + tables.forget_executions(commands_before)
            named = {row.body_digest for row in tables.assignments.values()}
            named.update(row.body_digest for row in self.releases())
            named.update(row.context_digest for row in tables.nodes.values())
            named.update(row.body_digest for row in tables.commands.values())
            named.update(row.source_digest for row in tables.executions.values())
            named |= {file for body in named & tables.bodies.keys() for file in files_named_by(tables.bodies[body])}
            named.update(row.content_hash for row in tables.inventory.values())
            gone = tables.bodies.keys() - named
            for digest in gone:
                del tables.bodies[digest]
            return len(gone) + tables.forget(effects_before, audit_before) + runs

    def nodes(self) -> list[records.NodeRow]:
        with self._state.lock:
            return list(self._tables.nodes.values())

    def node(self, node_id: str) -> records.NodeRow | None:
        return self._tables.nodes.get(node_id)

    def assignments(self) -> Iterator[records.AssignmentRow]:
        with self._state.lock:
            return iter(sorted(self._tables.assignments.values(), key=lambda row: (row.uid, row.node_id)))

    def columns(self, position: Mapping[str, int]) -> Mapping[str, Columns]:
        found: dict[str, Columns] = {}
        given: dict[str, dict[str, list[int]]] = {}
        flags: dict[str, dict[str, list[int]]] = {}
        for row in self.assignments():
            bit = position.get(row.node_id)
            if bit is None:
                continue
            given.setdefault(row.uid, {}).setdefault(row.body_digest, []).append(bit)
            for name in ("held", "reported", "converged", "failed", "drifted"):
                if getattr(row, name):
                    flags.setdefault(row.uid, {}).setdefault(name, []).append(bit)
        for uid, bodies in given.items():
            sets = {name: nodeset.of(bits) for name, bits in flags.get(uid, {}).items()}
            on = {body_digest: nodeset.of(bits) for body_digest, bits in bodies.items()}
            found[uid] = Columns(
                on,
                sets.get("held", EMPTY),
                sets.get("reported", EMPTY),
                sets.get("converged", EMPTY),
                sets.get("failed", EMPTY),
                sets.get("drifted", EMPTY),
            )
        return found

    def assignments_of(self, node_id: str) -> list[records.AssignmentRow]:
        return [row for row in self.assignments() if row.node_id == node_id]

    def assignment(self, node_id: str, uid: str) -> records.AssignmentRow | None:
        return self._tables.assignments.get((uid, node_id))

    def states(self, *, node_ids: Iterable[str] | None = None, since: int = 0) -> list[records.StateRow]:
        wanted = None if node_ids is None else set(node_ids)
        with self._state.lock:
            rows = sorted(self._tables.states.values(), key=lambda row: (row.node_id, row.uid))
        return [row for row in rows if row.since >= since and (wanted is None or row.node_id in wanted)]

    def state(self, node_id: str, uid: str) -> records.StateRow | None:
        return self._tables.states.get((node_id, uid))

    def inventory(self, node_id: str) -> list[records.InventoryRow]:
        with self._state.lock:
            rows = [row for row in self._tables.inventory.values() if row.node_id == node_id]
        return sorted(rows, key=lambda row: row.type_name)

    def is_inventory(self, content_hash: str) -> bool:
        with self._state.lock:
            return any(row.content_hash == content_hash for row in self._tables.inventory.values())

    def releases(self) -> list[records.ReleaseRow]:
        newest: dict[str, records.ReleaseRow] = {}
        with self._state.lock:
            for row in sorted(self._tables.releases.values(), key=lambda row: (row.uid, row.generation)):
                newest[row.uid] = row
        return list(newest.values())

    def release(self, uid: str, generation: int) -> records.ReleaseRow | None:
        return self._tables.releases.get((uid, generation))

    def leaves(self) -> list[records.LeaveRow]:
        with self._state.lock:
            return sorted(self._tables.leaves.values(), key=lambda row: row.uid)

    def leaves_of(self, node_id: str) -> list[records.LeaveRow]:
        return [row for row in self.leaves() if (row.uid, node_id) in self._tables.assignments]

    def permits(self) -> list[records.PermitRow]:
        with self._state.lock:
            return sorted(self._tables.permits.values(), key=lambda row: (row.uid, row.node_id))

    def commands(self, *, limit: int = 50) -> list[CommandRow]:
        with self._state.lock:
            return sorted(self._tables.commands.values(), key=lambda row: row.id, reverse=True)[:limit]

    def open_commands(self) -> list[CommandRow]:
        with self._state.lock:
            return sorted(
                (row for row in self._tables.commands.values() if not row.finished_at), key=lambda row: row.id
            )

    def command(self, command_id: str) -> CommandRow | None:
        return self._tables.commands.get(command_id)

    def invocations(self, command_id: str) -> list[InvocationRow]:
        with self._state.lock:
            rows = [row for row in self._tables.invocations.values() if row.command_id == command_id]
        return sorted(rows, key=lambda row: (row.node_name, row.job_id))

    def invocation(self, job_id: str) -> InvocationRow | None:
        return self._tables.invocations.get(job_id)

    def executions(self, *, limit: int = 50, parent: str | None = None) -> list[ExecutionRow]:
        with self._state.lock:
            rows = [row for row in self._tables.executions.values() if parent in (None, row.parent)]
        return sorted(rows, key=lambda row: row.id, reverse=True)[:limit]

    def open_executions(self) -> list[ExecutionRow]:
        with self._state.lock:
            rows = [row for row in self._tables.executions.values() if not row.finished_at]
        return sorted(rows, key=lambda row: row.id)

    def execution(self, execution_id: str) -> ExecutionRow | None:
        return self._tables.executions.get(execution_id)

    def events(self, execution_id: str) -> list[str]:
        with self._state.lock:
            return list(self._tables.events.get(execution_id, ()))

    def body(self, digest: str) -> bytes | None:
        return self._tables.bodies.get(digest)

    def token(self, token_id: str) -> records.TokenRow | None:
        return self._tables.tokens.get(token_id)

    def pending_effects(self) -> list[records.EffectRow]:
        with self._state.lock:
            return [row for row in self._tables.effects.values() if not row.outcome]

    def audit(self, *, limit: int = 200, before: int | None = None) -> list[records.AuditRow]:
        with self._state.lock:
            rows = self._tables.audit[::-1]
        return [row for row in rows if before is None or row.number < before][:limit]

    def settings(self) -> Mapping[str, str]:
        with self._state.lock:
            return dict(self._tables.settings)

    def renew_lease(self, holder: str, at: int, seconds: int, *, seize: bool = False) -> None:
        tables = self._tables
        with self._state.lock:
            if self._fence is None:
                if tables.lease_expires_at > at and not seize:
                    raise led_by(tables.lease_holder, tables.lease_expires_at)
                tables.fence += 1
                self._fence = tables.fence
            self._check_lease()
            tables.lease_holder, tables.lease_expires_at = holder, at + seconds * 1000

    def release_lease(self) -> None:
        with self._state.lock:
            if self._fence == self._tables.fence:
                self._tables.lease_expires_at = 0
            self._fence = None

    def close(self) -> None:
        self.release_lease()

    def _check_lease(self) -> None:
        if self._fence is None:
            raise not_held()
        if self._fence != self._tables.fence:
            raise lost_to(self._tables.lease_holder)
