"""The store on a SQL database through SQLAlchemy Core; SQLite in a file unless the URL says otherwise."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.adapters.store import columns, dialect, queries, schema
from reconciler.adapters.store.lease import Lease
from reconciler.adapters.store.migrate import migrate
from reconciler.adapters.store.rules import files_named_by
from reconciler.adapters.store.statements import Statements
from reconciler.adapters.store.writes import Writer, chunks
from reconciler.core import records
from reconciler.core.commands import CommandRow, InvocationRow
from reconciler.core.executions import ExecutionRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sqlalchemy import Connection, Engine, Select

    from reconciler.core.world import Columns

_T = TypeVar("_T")
_ROWS_AT_ONCE = 10_000
_LAST = 2**63 - 1


def open_store(url: str, fleet_id: str, at: int) -> SqlStore:
    """Open the database, bring its schema up to date, and make the fleet where it is new, with incarnation `at`.

    Raises `Unavailable` when it cannot be opened, `Refused` for a schema newer than this program.
    """
    engine = dialect.connect(url)
    migrate(engine)
    with dialect.writing(engine) as connection:
        fleet = {"fleet_id": fleet_id, "incarnation": at}
        lease = {"fleet_id": fleet_id, "holder": "", "fence": 0, "expires_at": 0}
        for table, row in ((schema.fleets, fleet), (schema.leases, lease)):
            connection.execute(dialect.insert(engine.dialect.name, table).on_conflict_do_nothing(), row)
        incarnation = connection.execute(queries.INCARNATION, {"of_fleet": fleet_id}).scalar_one()
    return SqlStore(engine, fleet_id, incarnation)


def fleets(url: str) -> list[str]:
    """Ids of the fleets that a database keeps."""
    engine = dialect.connect(url)
    migrate(engine)
    try:
        with dialect.reading(engine) as connection:
            return list(connection.execute(queries.FLEETS).scalars())
    finally:
        engine.dispose()


class SqlStore:
    """The `Store` of one fleet. Methods may be called from any thread; commits go one after the other."""

    def __init__(self, engine: Engine, fleet_id: str, incarnation: int) -> None:
        self._engine, self._fleet_id, self._incarnation = engine, fleet_id, incarnation
        self._statements = Statements(engine.dialect.name)
        self._lease = Lease(fleet_id)
        self._lock = threading.Lock()

    @property
    def incarnation(self) -> int:
        return self._incarnation

    def declare_restored(self, at: int) -> int:
        incarnation = max(at, self._incarnation + 1)
        table = schema.fleets
        with self._leading() as connection:
            ours = table.update().where(table.c.fleet_id == self._fleet_id)
            connection.execute(ours.values(incarnation=incarnation))
        self._incarnation = incarnation
        return incarnation

    def commit(self, changes: records.Changes) -> None:
        with self._leading() as connection:
            Writer(connection, self._statements, self._fleet_id).write(changes)

    def collect(self, *, effects_before: int = 0, audit_before: int = 0, commands_before: int = 0) -> int:
        ours = {"of_fleet": self._fleet_id}
        with self._leading() as connection:
            before = {**ours, "of_before": commands_before}
            connection.execute(queries.FORGET_INVOCATIONS, before)
            commands = connection.execute(queries.FORGET_COMMANDS, before).rowcount
            connection.execute(queries.FORGET_EVENTS, before)
            executions = connection.execute(queries.FORGET_EXECUTIONS, before).rowcount
            files: set[str] = set()
            for data in connection.execute(queries.BODIES_IN_USE, ours).scalars():
                files |= files_named_by(data)
            others = set(connection.execute(queries.OTHER_BODIES, ours).scalars()) - files
            if others:
                connection.execute(queries.FORGET_BODY, [{**ours, "of_digest": digest} for digest in others])
            effects = connection.execute(queries.FORGET_EFFECTS, {**ours, "of_before": effects_before}).rowcount
            audit = connection.execute(queries.FORGET_AUDIT, {**ours, "of_before": audit_before}).rowcount
            return len(others) + effects + audit + commands + executions

    def nodes(self) -> list[records.NodeRow]:
        return self._all(records.NodeRow, queries.NODES)

    def node(self, node_id: str) -> records.NodeRow | None:
        return self._one(records.NodeRow, queries.NODE, of_node=node_id)

    def assignments(self) -> Iterator[records.AssignmentRow]:
        with dialect.reading(self._engine) as connection:
            streamed = connection.execution_options(yield_per=_ROWS_AT_ONCE)
            for row in streamed.execute(queries.ASSIGNMENTS, {"of_fleet": self._fleet_id}):
                yield records.AssignmentRow(*row)

    def columns(self, position: Mapping[str, int]) -> Mapping[str, Columns]:
        with dialect.reading(self._engine) as connection:
            return columns.load(connection, self._fleet_id, position)

    def assignments_of(self, node_id: str) -> list[records.AssignmentRow]:
        """Ordered by uid."""
        return self._all(records.AssignmentRow, queries.ASSIGNMENTS_OF, of_node=node_id)

    def assignment(self, node_id: str, uid: str) -> records.AssignmentRow | None:
        return self._one(records.AssignmentRow, queries.ASSIGNMENT, of_node=node_id, of_uid=uid)

    def states(self, *, node_ids: Iterable[str] | None = None, since: int = 0) -> list[records.StateRow]:
        """Ordered by node id and uid."""
        query = queries.STATES if node_ids is None else queries.STATES_OF
        narrowed = query.where(queries.CHANGED_SINCE) if since else query
        if node_ids is None:
            return self._all(records.StateRow, narrowed, of_since=since)
        found = (self._all(records.StateRow, narrowed, of_since=since, of_nodes=some) for some in chunks(node_ids))
        return [row for rows in found for row in rows]

    def state(self, node_id: str, uid: str) -> records.StateRow | None:
        return self._one(records.StateRow, queries.STATE, of_node=node_id, of_uid=uid)

    def inventory(self, node_id: str) -> list[records.InventoryRow]:
        return self._all(records.InventoryRow, queries.INVENTORY, of_node=node_id)

    def is_inventory(self, content_hash: str) -> bool:
        return bool(self._one(int, queries.IS_INVENTORY, of_digest=content_hash))

    def releases(self) -> list[records.ReleaseRow]:
        """Ordered by uid."""
        return self._all(records.ReleaseRow, queries.RELEASES)

    def release(self, uid: str, generation: int) -> records.ReleaseRow | None:
        return self._one(records.ReleaseRow, queries.RELEASE, of_uid=uid, of_generation=generation)

    def leaves(self) -> list[records.LeaveRow]:
        return self._all(records.LeaveRow, queries.LEAVES)

    def leaves_of(self, node_id: str) -> list[records.LeaveRow]:
        return self._all(records.LeaveRow, queries.LEAVES_OF, of_node=node_id)

    def permits(self) -> list[records.PermitRow]:
        return self._all(records.PermitRow, queries.PERMITS)

    def commands(self, *, limit: int = 50) -> list[CommandRow]:
        return self._all(CommandRow, queries.COMMANDS, of_limit=limit)

    def open_commands(self) -> list[CommandRow]:
        return self._all(CommandRow, queries.OPEN_COMMANDS)

    def command(self, command_id: str) -> CommandRow | None:
        return self._one(CommandRow, queries.COMMAND, of_id=command_id)

    def invocations(self, command_id: str) -> list[InvocationRow]:
        return self._all(InvocationRow, queries.INVOCATIONS, of_id=command_id)

    def invocation(self, job_id: str) -> InvocationRow | None:
        return self._one(InvocationRow, queries.INVOCATION, of_id=job_id)

    def executions(self, *, limit: int = 50, parent: str | None = None) -> list[ExecutionRow]:
        if parent is None:
            return self._all(ExecutionRow, queries.EXECUTIONS, of_limit=limit)
        return self._all(ExecutionRow, queries.EXECUTIONS_OF, of_limit=limit, of_parent=parent)

    def open_executions(self) -> list[ExecutionRow]:
        return self._all(ExecutionRow, queries.OPEN_EXECUTIONS)

    def execution(self, execution_id: str) -> ExecutionRow | None:
        return self._one(ExecutionRow, queries.EXECUTION, of_id=execution_id)

    def events(self, execution_id: str) -> list[str]:
        return self._all(str, queries.EVENTS, of_id=execution_id)

    def body(self, digest: str) -> bytes | None:
        return self._one(bytes, queries.BODY, of_digest=digest)

    def token(self, token_id: str) -> records.TokenRow | None:
        return self._one(records.TokenRow, queries.TOKEN, of_id=token_id)

    def pending_effects(self) -> list[records.EffectRow]:
        return self._all(records.EffectRow, queries.PENDING)

    def audit(self, *, limit: int = 200, before: int | None = None) -> list[records.AuditRow]:
        return self._all(records.AuditRow, queries.AUDIT, of_limit=limit, of_before=_LAST if before is None else before)

    def settings(self) -> Mapping[str, str]:
        return dict(self._all(_pair, queries.SETTINGS))

    def renew_lease(self, holder: str, at: int, seconds: int, *, seize: bool = False) -> None:
        with self._lock, dialect.writing(self._engine) as connection:
            self._lease.renew(connection, holder, at, seconds, seize=seize)

    def release_lease(self) -> None:
        with self._lock, dialect.writing(self._engine) as connection:
            self._lease.release(connection)

    def close(self) -> None:
        """Give the lease back and every connection."""
        self.release_lease()
        self._engine.dispose()

    @contextmanager
    def _leading(self) -> Iterator[Connection]:
        """A transaction that writes, once the lease is known to be ours still."""
        with self._lock, dialect.writing(self._engine) as connection:
            self._lease.check(connection)
            yield connection

    def _all(self, kind: Callable[..., _T], query: Select[Any], **parameters: Any) -> list[_T]:
        with dialect.reading(self._engine) as connection:
            rows = connection.execute(query, {"of_fleet": self._fleet_id, **parameters}).all()
        return [kind(*row) for row in rows]

    def _one(self, kind: Callable[..., _T], query: Select[Any], **parameters: Any) -> _T | None:
        return next(iter(self._all(kind, query, **parameters)), None)


def _pair(name: str, value: str) -> tuple[str, str]:
    return name, value
