"""The tables. Every key begins with `fleet_id`; instants are Unix milliseconds.

A node's `number` stands for its id in the tables that have a row per (node, association): a third of the bytes, and
World loads from integers. It never leaves the store.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

from agent.contract.wire import STATUSES
from reconciler.core.records import COMPLIANCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Dialect

metadata = MetaData()


class Word(TypeDecorator[str]):
    """One of a closed list of words, kept as its index: a list may grow at its end only."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:  # noqa: ARG002  # as SQLAlchemy calls it
        return None if value is None else self.words.index(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # as SQLAlchemy calls it
        return None if value is None else self.words[value]


@lru_cache(maxsize=4096)
def _labels(text: str) -> dict[str, str]:
    """Parsed once per distinct set, which a fleet has few of."""
    found: dict[str, str] = json.loads(text)
    return found


class Labels(TypeDecorator["Mapping[str, str]"]):
    """Keys and values, as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # as SQLAlchemy calls it
        return None if value is None else json.dumps(dict(value), sort_keys=True, ensure_ascii=False)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Mapping[str, str] | None:  # noqa: ARG002  # as SQLAlchemy calls it
        return None if value is None else dict(_labels(value))


STATUS_WORDS = ("", *STATUSES)


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _number(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _fleet() -> Column[str]:
    return _text("fleet_id", key=True)


def _of_node() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["fleet_id", "node_number"], ["nodes.fleet_id", "nodes.number"])


fleets = Table(
    "fleets",
    metadata,
    _fleet(),
    _number("incarnation"),
)

leases = Table(
    "leases",
    metadata,
    _fleet(),
    _text("holder"),
    _number("fence"),
    _number("expires_at"),
)

nodes = Table(
    "nodes",
    metadata,
    _fleet(),
    _text("id", key=True),
    _number("number"),
    _text("name"),
    _text("sign_key"),
    _text("seal_key"),
    Column("labels", Labels, nullable=False),
    _number("enrolled_at"),
    _number("serial"),
    _text("context_digest"),
    Column("retired_at", BigInteger),
    Column("last_seen", BigInteger),
    _text("agent_version"),
    _text("platform"),
    _text("facts"),
    _flag("unsettled"),
    UniqueConstraint("fleet_id", "number", name="nodes_number"),
)
Index(
    "nodes_name",
    nodes.c.fleet_id,
    nodes.c.name,
    unique=True,
    sqlite_where=text("retired_at IS NULL"),
    postgresql_where=text("retired_at IS NULL"),
)

bodies = Table(
    "bodies",
    metadata,
    _fleet(),
    _text("digest", key=True),
    Column("data", LargeBinary, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    _fleet(),
    _text("uid", key=True),
    _number("generation", key=True),
    _text("body_digest"),
    _text("commit_oid"),
    _number("released_at"),
    _text("held_for"),
    _number("tolerated"),
    sqlite_with_rowid=False,
)

assignments = Table(
    "assignments",
    metadata,
    _fleet(),
    _text("uid", key=True),
    _number("node_number", key=True),
    _number("generation"),
    _number("given_at"),
    _flag("held"),
    Column("status", Word(STATUS_WORDS), nullable=False),
    Column("compliance", Word(COMPLIANCES), nullable=False),
    _flag("drifted"),
    _number("seq"),
    _of_node(),
    ForeignKeyConstraint(
        ["fleet_id", "uid", "generation"], ["releases.fleet_id", "releases.uid", "releases.generation"]
    ),
    Index("assignments_node", "fleet_id", "node_number"),
    sqlite_with_rowid=False,
)

states = Table(
    "states",
    metadata,
    _fleet(),
    _number("node_number", key=True),
    _text("uid", key=True),
    _text("compliance"),
    _text("status"),
    _text("reason"),
    _number("since"),
    _text("commit_oid"),
    _number("generation"),
    _text("findings"),
    _of_node(),
    Index("states_since", "fleet_id", "since"),
)

inventory = Table(
    "inventory",
    metadata,
    _fleet(),
    _number("node_number", key=True),
    _text("type_name", key=True),
    _text("schema_version"),
    _number("captured_at"),
    _text("content_hash"),
    _of_node(),
    Index("inventory_content", "fleet_id", "content_hash"),
    sqlite_with_rowid=False,
)

leaves = Table(
    "leaves",
    metadata,
    _fleet(),
    _text("uid", key=True),
    _text("permit"),
    _number("splay"),
    Column("heals", BigInteger),
)

permits = Table(
    "permits",
    metadata,
    _fleet(),
    _text("uid", key=True),
    _number("node_number", key=True),
    _number("generation"),
    _text("run_instant"),
    _number("granted_at"),
    _number("expires_at"),
    _text("status"),
    _of_node(),
    Index("permits_node", "fleet_id", "node_number"),
    sqlite_with_rowid=False,
)

commands = Table(
    "commands",
    metadata,
    _fleet(),
    _text("id", key=True),
    _text("document"),
    _text("body_digest"),
    _text("subject"),
    _number("requested_at"),
    _text("targets"),
    _number("target_count"),
    _text("parameters"),
    _text("max_concurrency"),
    _text("max_errors"),
    _number("delivery_timeout"),
    _number("execution_timeout"),
    _flag("check"),
    _text("status"),
    _text("details"),
    _text("cancelled_by"),
    _number("finished_at"),
    Column("comment", Text, nullable=False, server_default=""),
    Column("reviewed", Boolean, nullable=False, server_default=false()),
)
Index(
    "commands_open",
    commands.c.fleet_id,
    commands.c.id,
    sqlite_where=text("finished_at = 0"),
    postgresql_where=text("finished_at = 0"),
)

invocations = Table(
    "invocations",
    metadata,
    _fleet(),
    _text("job_id", key=True),
    _text("command_id"),
    _text("node_id"),
    _text("node_name"),
    _text("status"),
    _text("details"),
    _text("reason"),
    _number("released_at"),
    _number("accepted_at"),
    _number("finished_at"),
    _text("report"),
    ForeignKeyConstraint(["fleet_id", "command_id"], ["commands.fleet_id", "commands.id"], ondelete="CASCADE"),
    Index("invocations_command", "fleet_id", "command_id"),
)

executions = Table(
    "executions",
    metadata,
    _fleet(),
    _text("id", key=True),
    _text("document"),
    _text("source_digest"),
    _text("subject"),
    _number("started_at"),
    _text("parent"),
    _number("depth"),
    _text("mode"),
    _text("targets"),
    _text("status"),
    _text("reason"),
    _number("finished_at"),
    Index("executions_parent", "fleet_id", "parent", "id"),
)
Index(
    "executions_open",
    executions.c.fleet_id,
    executions.c.id,
    sqlite_where=text("finished_at = 0"),
    postgresql_where=text("finished_at = 0"),
)

execution_events = Table(
    "execution_events",
    metadata,
    _fleet(),
    _text("execution", key=True),
    _number("number", key=True),
    _text("event"),
    ForeignKeyConstraint(["fleet_id", "execution"], ["executions.fleet_id", "executions.id"], ondelete="CASCADE"),
    sqlite_with_rowid=False,
)

tokens = Table(
    "tokens",
    metadata,
    _fleet(),
    _text("id", key=True),
    _text("secret_digest"),
    _number("created_at"),
    _number("expires_at"),
    _text("created_by"),
    _text("node_name"),
    Column("labels", Labels, nullable=False),
    Column("used_at", BigInteger),
    _text("used_key"),
    _text("node_id"),
)

effects = Table(
    "effects",
    metadata,
    _fleet(),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _text("id"),
    _text("kind"),
    _text("payload"),
    _text("cause_id"),
    _text("subject"),
    _number("created_at"),
    _number("attempts"),
    _text("outcome"),
    UniqueConstraint("fleet_id", "id", name="effects_id"),
)
Index(
    "effects_pending",
    effects.c.fleet_id,
    effects.c.number,
    sqlite_where=text("outcome = ''"),
    postgresql_where=text("outcome = ''"),
)

audit = Table(
    "audit",
    metadata,
    _fleet(),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _number("at"),
    _text("subject"),
    _text("verb"),
    _text("object"),
    _text("outcome"),
    _text("ref"),
    _text("detail"),
)

settings = Table(
    "settings",
    metadata,
    _fleet(),
    _text("name", key=True),
    _text("value"),
)
