"""Rows of the tables as the frozen values of `core.records`, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from reconciler.core import commands, executions, records

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause

_KINDS: tuple[type[Any], ...] = (
    records.NodeRow,
    records.AssignmentRow,
    records.StateRow,
    records.ReleaseRow,
    records.LeaveRow,
    records.PermitRow,
    records.InventoryRow,
    records.TokenRow,
    records.AuditRow,
    records.EffectRow,
    commands.CommandRow,
    commands.InvocationRow,
    executions.ExecutionRow,
    executions.EventRow,
)
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS}
_IN_TABLES = {"commit": "commit_oid"}  # `commit` is a word of SQL


def values(row: Any) -> dict[str, Any]:
    """A record's fields by column name."""
    return {_IN_TABLES.get(name, name): getattr(row, name) for name in _NAMES[type(row)]}


def columns(kind: type[Any], table: FromClause, **elsewhere: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """The columns that make a record, in its fields' order; those of another table are named."""
    return [elsewhere[name] if name in elsewhere else table.c[_IN_TABLES.get(name, name)] for name in _NAMES[kind]]
