"""The one place that knows one database from another: how to connect, begin, and insert over what is there.

A commit is an acknowledgement (of reports, of an enrolment), so SQLite runs `synchronous=FULL`: the log is on the disk
before `commit` returns. Readers see the last commit and never wait for the writer.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError, StatementError

from reconciler.core.problem import Defect, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine, Table

Insert: TypeAlias = sqlite.Insert | postgresql.Insert

BUSY_SECONDS = 30
_PRAGMAS = (
    f"busy_timeout = {BUSY_SECONDS * 1000}",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "temp_store = MEMORY",
    "cache_size = -65536",
)


def connect(url: str) -> Engine:
    """An engine for a database URL. `Refused` for one that no driver here serves."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        return create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise Refused(f"the store's URL cannot be used: {error}", "store", "use sqlite:///PATH") from None


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise Refused("a SQLite store needs a file", "store", "use sqlite:///PATH, or the in-memory store")
    with _translated(Path(url.database)):
        # Made before SQLite opens it, so that the file (and its log, which copies its mode) is never anyone else's.
        os.close(os.open(url.database, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver guesses
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the store {path}", error.strerror or str(error)) from error


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that will write: on SQLite it takes the write lock first, so that it never loses half-way."""
    with foreign(), engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that sees one moment."""
    with foreign(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def foreign() -> Iterator[None]:
    """Wrap the database's exceptions: what the schema forbids is ours, what the driver raises is not there."""
    try:
        yield
    except IntegrityError as error:
        raise Defect(f"the store refused a change: {error.orig}") from error
    except DBAPIError as error:
        raise Unavailable("the store", str(error.orig)) from error
    except StatementError as error:
        raise Defect(f"the store cannot keep a value: {error.orig}") from error
    except SQLAlchemyError as error:
        raise Unavailable("the store", str(error)) from error


def insert(dialect: str, table: Table) -> Insert:
    """An insert that has `on_conflict_do_update`, and `excluded` for the row that did not go in."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
