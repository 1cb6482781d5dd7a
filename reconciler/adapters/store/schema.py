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


def _fleet() -> Column[str]:
    return Column("fleet_id", Text, primary_key=True)


def _of_node() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["fleet_id", "node_number"], ["nodes.fleet_id", "nodes.number"])


fleets = Table(
    "fleets",
    metadata,
    _fleet(),
    Column("incarnation", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    _fleet(),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    _fleet(),
    Column("id", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("sign_key", Text, nullable=False),
    Column("seal_key", Text, nullable=False),
    Column("labels", Labels, nullable=False),
    Column("enrolled_at", BigInteger, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("context_digest", Text, nullable=False),
    Column("retired_at", BigInteger),
    Column("last_seen", BigInteger),
    Column("agent_version", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("unsettled", Boolean, nullable=False),
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
    Column("digest", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    _fleet(),
    Column("uid", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("body_digest", Text, nullable=False),
    Column("commit_oid", Text, nullable=False),
    Column("released_at", BigInteger, nullable=False),
    Column("held_for", Text, nullable=False),
    Column("tolerated", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

assignments = Table(
    "assignments",
    metadata,
    _fleet(),
    Column("uid", Text, primary_key=True),
    Column("node_number", BigInteger, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("given_at", BigInteger, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("status", Word(STATUS_WORDS), nullable=False),
    Column("compliance", Word(COMPLIANCES), nullable=False),
    Column("drifted", Boolean, nullable=False),
    Column("seq", BigInteger, nullable=False),
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
    Column("node_number", BigInteger, primary_key=True),
    Column("uid", Text, primary_key=True),
    Column("compliance", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("commit_oid", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("findings", Text, nullable=False),
    _of_node(),
    Index("states_since", "fleet_id", "since"),
)

leaves = Table(
    "leaves",
    metadata,
    _fleet(),
    Column("uid", Text, primary_key=True),
    Column("permit", Text, nullable=False),
    Column("splay", BigInteger, nullable=False),
    Column("heals", BigInteger),
)

permits = Table(
    "permits",
    metadata,
    _fleet(),
    Column("uid", Text, primary_key=True),
    Column("node_number", BigInteger, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("run_instant", Text, nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    _of_node(),
    Index("permits_node", "fleet_id", "node_number"),
    sqlite_with_rowid=False,
)

tokens = Table(
    "tokens",
    metadata,
    _fleet(),
    Column("id", Text, primary_key=True),
    Column("secret_digest", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("node_name", Text, nullable=False),
    Column("labels", Labels, nullable=False),
    Column("used_at", BigInteger),
    Column("used_key", Text, nullable=False),
    Column("node_id", Text, nullable=False),
)

effects = Table(
    "effects",
    metadata,
    _fleet(),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("cause_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
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
    Column("at", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    _fleet(),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
