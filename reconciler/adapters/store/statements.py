"""Every statement that writes, by name, built once for a database: building one costs more than running it.

Parameters of a statement's own begin with `of_`; the rest carry a column's name. `of_fleet` and `fleet_id` are the
fleet. Where the same is done to many nodes, `of_nodes` is a list of ids and the database works off the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, bindparam, case, delete, func, literal, or_, select, update
from sqlalchemy import types as sql

from reconciler.adapters.store import schema
from reconciler.adapters.store.dialect import insert

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Delete, Executable, ScalarSelect, Select, Table, Update

    from reconciler.adapters.store.dialect import Insert

UNHEARD = {"held": False, "status": "", "compliance": "UNKNOWN", "drifted": False}
"""What is known of a node's word on something that it was just given."""

_FLEET: BindParameter[str] = bindparam("of_fleet")
_UID: BindParameter[str] = bindparam("of_uid")


class Statements:
    """Made for one dialect (`sqlite`, `postgresql`)."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self.body = insert(dialect, schema.bodies).on_conflict_do_nothing()
        self.token = self._replacing(schema.tokens)
        self.setting = self._replacing(schema.settings)
        self.release = self._replacing(schema.releases, only=("held_for", "tolerated"))
        self.leave = self._replacing(schema.leaves)
        self.permit = self._replacing(schema.permits, node_number=_number())
        self.node = self._node()
        self.withdraw = _delete_pair_of_many(schema.assignments)
        self.permits_gone = _delete_pair_of_many(schema.permits)
        self.give = self._give()
        self.held = _held()
        self.reported = _reported()
        self.state = self._replacing(schema.states, node_number=_number())
        self.inventory = self._replacing(schema.inventory, node_number=_number())
        self.state_gone = delete(schema.states).where(*_pair(schema.states))
        self.context = update(schema.nodes).where(*_this()).values(context_digest=bindparam("context_digest"))
        self.unsettled = update(schema.nodes).where(*_this()).values(unsettled=bindparam("unsettled"))
        self.seen = _seen()
        self.retire = _retire()
        self.retired_gone = tuple(
            _delete_all_of(table) for table in (schema.assignments, schema.states, schema.permits, schema.inventory)
        )
        self.serial = update(schema.nodes).where(*_these(schema.nodes)).values(serial=schema.nodes.c.serial + 1)
        self.command = self._replacing(schema.commands, only=("status", "details", "cancelled_by", "finished_at"))
        self.invocation = self._replacing(schema.invocations)
        self.execution = self._replacing(schema.executions, only=("status", "reason", "finished_at"))
        self.event = insert(dialect, schema.execution_events)
        self.effect = self._effect()
        self.audit = insert(dialect, schema.audit).values(number=_next_number(schema.audit))

    def _replacing(self, table: Table, only: tuple[str, ...] = (), **computed: ColumnElement[Any]) -> Executable:
        """Insert; where the key is there, replace the columns in `only`, or all others."""
        new = insert(self._dialect, table)
        key = [column.name for column in table.primary_key]
        replaced = only or [column.name for column in table.columns if column.name not in key]
        statement = new.on_conflict_do_update(index_elements=key, set_={name: new.excluded[name] for name in replaced})
        return statement.values(**computed) if computed else statement

    def _node(self) -> Insert:
        table = schema.nodes
        new = insert(self._dialect, table).values(number=_next_number(table))
        said = ("name", "sign_key", "seal_key", "labels", "agent_version", "platform", "facts")
        last_seen = case(
            (new.excluded.last_seen.is_(None), table.c.last_seen),
            (table.c.last_seen > new.excluded.last_seen, table.c.last_seen),
            else_=new.excluded.last_seen,
        )
        return new.on_conflict_do_update(
            index_elements=["fleet_id", "id"],
            set_={**{name: new.excluded[name] for name in said}, "last_seen": last_seen},
        )

    def _give(self) -> Insert:
        """One release to many nodes; those that have its generation keep what they said of it."""
        table, nodes = schema.assignments, schema.nodes
        to_all = select(
            nodes.c.fleet_id,
            bindparam("of_uid", type_=sql.Text),
            nodes.c.number,
            bindparam("of_generation", type_=sql.BigInteger),
            bindparam("of_at", type_=sql.BigInteger),
            *(literal(value, table.c[name].type) for name, value in UNHEARD.items()),
            literal(0, sql.BigInteger),
        ).where(*_these(nodes))
        names = ["fleet_id", "uid", "node_number", "generation", "given_at", *UNHEARD, "seq"]
        new = insert(self._dialect, table).from_select(names, to_all)
        return new.on_conflict_do_update(
            index_elements=["fleet_id", "uid", "node_number"],
            set_={name: new.excluded[name] for name in ("generation", "given_at", *UNHEARD)},
            where=table.c.generation != new.excluded.generation,
        )

    def _effect(self) -> Insert:
        """A new effect, or what became of a known one; an outcome stays, attempts grow."""
        table = schema.effects
        new = insert(self._dialect, table).values(number=_next_number(table))
        attempts = case((table.c.attempts > new.excluded.attempts, table.c.attempts), else_=new.excluded.attempts)
        outcome = case((table.c.outcome != "", table.c.outcome), else_=new.excluded.outcome)
        return new.on_conflict_do_update(
            index_elements=["fleet_id", "id"], set_={"attempts": attempts, "outcome": outcome}
        )


def _this() -> tuple[ColumnElement[bool], ...]:
    """The node of this id."""
    return schema.nodes.c.fleet_id == _FLEET, schema.nodes.c.id == bindparam("of_node")


def _these(table: Table) -> tuple[ColumnElement[bool], ...]:
    """The nodes of these ids."""
    return table.c.fleet_id == _FLEET, table.c.id.in_(bindparam("of_nodes", expanding=True))


def _number() -> ScalarSelect[Any]:
    """The number of the node of this id; null, which no table takes, for an unknown one."""
    return select(schema.nodes.c.number).where(*_this()).scalar_subquery()


def _numbers() -> Select[Any]:
    return select(schema.nodes.c.number).where(*_these(schema.nodes))


def _next_number(table: Table) -> ScalarSelect[Any]:
    last = func.coalesce(func.max(table.c.number), 0)
    return select(last + 1).where(table.c.fleet_id == bindparam("of_fleet")).scalar_subquery()


def _pair(table: Table) -> tuple[ColumnElement[bool], ...]:
    """The row of this node and this association."""
    return table.c.fleet_id == _FLEET, table.c.uid == _UID, table.c.node_number == _number()


def _delete_pair_of_many(table: Table) -> Delete:
    return delete(table).where(table.c.fleet_id == _FLEET, table.c.uid == _UID, table.c.node_number.in_(_numbers()))


def _delete_all_of(table: Table) -> Delete:
    return delete(table).where(table.c.fleet_id == _FLEET, table.c.node_number.in_(_numbers()))


def _held() -> Update:
    table, releases = schema.assignments, schema.releases
    naming = select(releases.c.generation).where(
        releases.c.fleet_id == _FLEET, releases.c.uid == _UID, releases.c.body_digest == bindparam("of_body")
    )
    return update(table).where(*_pair(table), table.c.generation.in_(naming)).values(held=True)


def _reported() -> Update:
    """An older word than the last one heard, or one on another generation, changes nothing."""
    table = schema.assignments
    newer = (table.c.generation == bindparam("of_generation"), table.c.seq < bindparam("seq"))
    said: dict[str, Any] = {name: bindparam(name) for name in ("status", "compliance", "drifted", "seq")}
    return update(table).where(*_pair(table), *newer).values(held=True, **said)


def _seen() -> Update:
    last_seen = schema.nodes.c.last_seen
    later = or_(last_seen.is_(None), last_seen < bindparam("last_seen"))
    return update(schema.nodes).where(*_this(), later).values(last_seen=bindparam("last_seen"))


def _retire() -> Update:
    at = func.coalesce(schema.nodes.c.retired_at, bindparam("of_at", type_=sql.BigInteger))
    return update(schema.nodes).where(*_these(schema.nodes)).values(retired_at=at)
