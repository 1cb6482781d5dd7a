"""Every query, by name, built once. Parameters begin with `of_`; `of_fleet` is in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, literal, select, tuple_
from sqlalchemy import types as sql

from reconciler.adapters.store import schema
from reconciler.adapters.store.rows import columns
from reconciler.core import commands, executions, records

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, ColumnElement, Delete, FromClause, Select, Table

_nodes, _releases, _assignments = schema.nodes, schema.releases, schema.assignments
_FLEET: BindParameter[str] = bindparam("of_fleet", type_=sql.Text)


def _same_node(table: Table) -> ColumnElement[bool]:
    return and_(_nodes.c.fleet_id == table.c.fleet_id, _nodes.c.number == table.c.node_number)


def _same_release(table: Table) -> ColumnElement[bool]:
    return and_(
        _releases.c.fleet_id == table.c.fleet_id,
        _releases.c.uid == table.c.uid,
        _releases.c.generation == table.c.generation,
    )


def _of(
    kind: type[Any], table: Table, joined: FromClause | None = None, **elsewhere: ColumnElement[Any]
) -> Select[Any]:
    """A fleet's rows of this kind."""
    query = select(*columns(kind, table, **elsewhere)).where(table.c.fleet_id == _FLEET)
    return query if joined is None else query.select_from(joined)


INCARNATION = select(schema.fleets.c.incarnation).where(schema.fleets.c.fleet_id == _FLEET)
FLEETS = select(schema.fleets.c.fleet_id).order_by(schema.fleets.c.fleet_id)
LEASE = (
    select(schema.leases.c.holder, schema.leases.c.fence, schema.leases.c.expires_at)
    .where(schema.leases.c.fleet_id == _FLEET)
    .with_for_update()
)
"""Holder, fence, expiry. Where readers do not wait for writers, taking this row is what makes writers queue."""

NODES = _of(records.NodeRow, _nodes).order_by(_nodes.c.number)
NODE = NODES.where(_nodes.c.id == bindparam("of_node"))
KNOWN = select(func.count()).where(_nodes.c.fleet_id == _FLEET, _nodes.c.id.in_(bindparam("of_nodes", expanding=True)))
NUMBERS = select(_nodes.c.number, _nodes.c.id).where(_nodes.c.fleet_id == _FLEET).order_by(_nodes.c.number)

ASSIGNMENTS = _of(
    records.AssignmentRow,
    _assignments,
    _assignments.join(_nodes, _same_node(_assignments)).join(_releases, _same_release(_assignments)),
    node_id=_nodes.c.id,
    body_digest=_releases.c.body_digest,
).order_by(_assignments.c.uid, _nodes.c.id)
ASSIGNMENTS_OF = ASSIGNMENTS.where(_nodes.c.id == bindparam("of_node"))
ASSIGNMENT = ASSIGNMENTS_OF.where(_assignments.c.uid == bindparam("of_uid"))

STATES = _of(
    records.StateRow, schema.states, schema.states.join(_nodes, _same_node(schema.states)), node_id=_nodes.c.id
).order_by(_nodes.c.id, schema.states.c.uid)
CHANGED_SINCE = schema.states.c.since >= bindparam("of_since")
"""Narrows a query of states."""
STATES_OF = STATES.where(_nodes.c.id.in_(bindparam("of_nodes", expanding=True)))
STATE = STATES.where(_nodes.c.id == bindparam("of_node"), schema.states.c.uid == bindparam("of_uid"))

INVENTORY = (
    _of(
        records.InventoryRow,
        schema.inventory,
        schema.inventory.join(_nodes, _same_node(schema.inventory)),
        node_id=_nodes.c.id,
    )
    .where(_nodes.c.id == bindparam("of_node"))
    .order_by(schema.inventory.c.type_name)
)
IS_INVENTORY = (
    select(literal(1))
    .where(schema.inventory.c.fleet_id == _FLEET, schema.inventory.c.content_hash == bindparam("of_digest"))
    .limit(1)
)

RELEASE = _of(records.ReleaseRow, _releases).where(
    _releases.c.uid == bindparam("of_uid"), _releases.c.generation == bindparam("of_generation")
)
_NEWEST = (
    select(_releases.c.uid, func.max(_releases.c.generation))
    .where(_releases.c.fleet_id == _FLEET)
    .group_by(_releases.c.uid)
)
_IS_NEWEST = tuple_(_releases.c.uid, _releases.c.generation).in_(_NEWEST)
RELEASES = _of(records.ReleaseRow, _releases).where(_IS_NEWEST).order_by(_releases.c.uid)
DIGESTS = select(_releases.c.uid, _releases.c.generation, _releases.c.body_digest).where(_releases.c.fleet_id == _FLEET)

LEAVES = _of(records.LeaveRow, schema.leaves).order_by(schema.leaves.c.uid)
LEAVES_OF = (
    _of(
        records.LeaveRow,
        schema.leaves,
        schema.leaves.join(
            _assignments,
            and_(_assignments.c.fleet_id == schema.leaves.c.fleet_id, _assignments.c.uid == schema.leaves.c.uid),
        ).join(_nodes, _same_node(_assignments)),
    )
    .where(_nodes.c.id == bindparam("of_node"))
    .order_by(schema.leaves.c.uid)
)
PERMITS = _of(
    records.PermitRow, schema.permits, schema.permits.join(_nodes, _same_node(schema.permits)), node_id=_nodes.c.id
).order_by(schema.permits.c.uid, _nodes.c.id)

_commands, _invocations = schema.commands, schema.invocations
COMMANDS = (
    _of(commands.CommandRow, _commands)
    .order_by(_commands.c.id.desc())
    .limit(bindparam("of_limit", type_=sql.BigInteger))
)
OPEN_COMMANDS = _of(commands.CommandRow, _commands).where(_commands.c.finished_at == 0).order_by(_commands.c.id)
COMMAND = _of(commands.CommandRow, _commands).where(_commands.c.id == bindparam("of_id"))
INVOCATIONS = (
    _of(commands.InvocationRow, _invocations)
    .where(_invocations.c.command_id == bindparam("of_id"))
    .order_by(_invocations.c.node_name, _invocations.c.job_id)
)
INVOCATION = _of(commands.InvocationRow, _invocations).where(_invocations.c.job_id == bindparam("of_id"))
_OVER = (
    _commands.c.fleet_id == _FLEET,
    _commands.c.finished_at != 0,
    _commands.c.requested_at < bindparam("of_before", type_=sql.BigInteger),
)
FORGET_INVOCATIONS: Delete = _invocations.delete().where(
    _invocations.c.fleet_id == _FLEET, _invocations.c.command_id.in_(select(_commands.c.id).where(*_OVER))
)
FORGET_COMMANDS: Delete = _commands.delete().where(*_OVER)

_executions, _events = schema.executions, schema.execution_events
_EXECUTION_LIMIT = bindparam("of_limit", type_=sql.BigInteger)
_NEWEST_EXECUTIONS = _of(executions.ExecutionRow, _executions).order_by(_executions.c.id.desc())
EXECUTIONS = _NEWEST_EXECUTIONS.limit(_EXECUTION_LIMIT)
EXECUTIONS_OF = _NEWEST_EXECUTIONS.where(_executions.c.parent == bindparam("of_parent")).limit(_EXECUTION_LIMIT)
OPEN_EXECUTIONS = (
    _of(executions.ExecutionRow, _executions).where(_executions.c.finished_at == 0).order_by(_executions.c.id)
)
EXECUTION = _of(executions.ExecutionRow, _executions).where(_executions.c.id == bindparam("of_id"))
EVENTS = (
    select(_events.c.event)
    .where(_events.c.fleet_id == _FLEET, _events.c.execution == bindparam("of_id"))
    .order_by(_events.c.number)
)
_EXECUTIONS_OVER = (
    _executions.c.fleet_id == _FLEET,
    _executions.c.finished_at != 0,
    _executions.c.started_at < bindparam("of_before", type_=sql.BigInteger),
)
FORGET_EVENTS: Delete = _events.delete().where(
    _events.c.fleet_id == _FLEET, _events.c.execution.in_(select(_executions.c.id).where(*_EXECUTIONS_OVER))
)
FORGET_EXECUTIONS: Delete = _executions.delete().where(*_EXECUTIONS_OVER)

BODY = select(schema.bodies.c.data).where(
    schema.bodies.c.fleet_id == _FLEET, schema.bodies.c.digest == bindparam("of_digest")
)
_NAMED = (
    select(_releases.c.body_digest)
    .where(_releases.c.fleet_id == _FLEET, _IS_NEWEST)
    .union(
        select(_releases.c.body_digest)
        .join(_assignments, _same_release(_assignments))
        .where(_releases.c.fleet_id == _FLEET),
        select(_nodes.c.context_digest).where(_nodes.c.fleet_id == _FLEET),
        select(_commands.c.body_digest).where(_commands.c.fleet_id == _FLEET),
        select(_executions.c.source_digest).where(_executions.c.fleet_id == _FLEET),
    )
)
_IN_USE = schema.bodies.c.digest.in_(_NAMED)
BODIES_IN_USE = select(schema.bodies.c.data).where(schema.bodies.c.fleet_id == _FLEET, _IN_USE)
"""Those that an assignment, a newest release, a node's context, a command or an execution names."""
_COLLECTED = select(schema.inventory.c.content_hash).where(schema.inventory.c.fleet_id == _FLEET)
OTHER_BODIES = select(schema.bodies.c.digest).where(
    schema.bodies.c.fleet_id == _FLEET, ~_IN_USE, schema.bodies.c.digest.not_in(_COLLECTED)
)
FORGET_BODY: Delete = schema.bodies.delete().where(
    schema.bodies.c.fleet_id == _FLEET, schema.bodies.c.digest == bindparam("of_digest")
)
FORGET_EFFECTS: Delete = schema.effects.delete().where(
    schema.effects.c.fleet_id == _FLEET,
    schema.effects.c.outcome != "",
    schema.effects.c.created_at < bindparam("of_before", type_=sql.BigInteger),
)
FORGET_AUDIT: Delete = schema.audit.delete().where(
    schema.audit.c.fleet_id == _FLEET, schema.audit.c.at < bindparam("of_before", type_=sql.BigInteger)
)

TOKEN = _of(records.TokenRow, schema.tokens).where(schema.tokens.c.id == bindparam("of_id"))
PENDING = _of(records.EffectRow, schema.effects).where(schema.effects.c.outcome == "").order_by(schema.effects.c.number)
AUDIT = (
    _of(records.AuditRow, schema.audit)
    .where(schema.audit.c.number < bindparam("of_before", type_=sql.BigInteger))
    .order_by(schema.audit.c.number.desc())
    .limit(bindparam("of_limit", type_=sql.BigInteger))
)
SETTINGS = select(schema.settings.c.name, schema.settings.c.value).where(schema.settings.c.fleet_id == _FLEET)
