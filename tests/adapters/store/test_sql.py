"""What is SQL's own: migrations, files, foreign exceptions, another database's words."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Delete, Insert, Select, Update, create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from agent.contract.wire import STATUSES
from reconciler.adapters.store import columns, fleets, open_store, queries, schema
from reconciler.adapters.store.statements import Statements
from reconciler.core.problem import Refused, Unavailable
from reconciler.core.records import COMPLIANCES, Changes
from tests.adapters.store.disks import BORN, FLEET
from tests.adapters.store.rows import node, peopled, said

if TYPE_CHECKING:
    from pathlib import Path


def test_migrations_make_the_schema_that_the_code_uses(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/state.db", FLEET, BORN).close()
    engine = create_engine(f"sqlite:///{tmp_path}/state.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        made = {row.name: row.sql for row in connection.exec_driver_sql("SELECT name, sql FROM sqlite_master")}
    engine.dispose()
    for table in schema.metadata.sorted_tables:
        without = table.dialect_options["sqlite"]["with_rowid"] is False
        assert ("WITHOUT ROWID" in made[table.name]) is without
        for index in table.indexes:
            assert ("WHERE" in made[index.name]) is (index.dialect_options["sqlite"]["where"] is not None)


def test_every_key_begins_with_the_fleet() -> None:
    for table in schema.metadata.sorted_tables:
        assert next(iter(table.primary_key)).name == "fleet_id"
        for index in table.indexes:
            assert next(iter(index.columns)).name == "fleet_id"


def test_the_packed_words_fit_their_bits() -> None:
    assert len(("", *STATUSES)) <= columns.STATUSES
    assert len(COMPLIANCES) <= columns.COMPLIANCE_WORDS


def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state.db", FLEET, BORN)
    store.renew_lease("this test", BORN, 60)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    store.close()


def test_the_log_is_synced_at_each_commit(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state.db", FLEET, BORN)
    with store._engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    store.close()


def test_a_schema_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    open_store(url, FLEET, BORN).close()
    database = sqlite3.connect(tmp_path / "state.db")
    database.execute("UPDATE alembic_version SET version_num = 'from the future'")
    database.commit()
    database.close()
    with pytest.raises(Refused, match=r"does not know.*newer one"):
        open_store(url, FLEET, BORN)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mystery://x", "not a url", "mssql+none://h/d"])
def test_an_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        open_store(url, FLEET, BORN)


def test_a_password_in_an_url_is_never_named() -> None:
    with pytest.raises(Refused) as caught:
        open_store("mystery://user:hunter2@host/db", FLEET, BORN)
    assert "hunter2" not in str(caught.value)


def test_a_directory_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        open_store(f"sqlite:///{tmp_path}/gone/state.db", FLEET, BORN)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(Unavailable, match="not a database"):
        open_store(f"sqlite:///{tmp_path}/state.db", FLEET, BORN)


def test_fleets_of_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    assert fleets(url) == []
    for fleet in ("b", "a"):
        open_store(url, fleet, BORN).close()
    assert fleets(url) == ["a", "b"]


def test_readers_do_not_wait_for_a_writer_nor_see_half_of_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    store, reader = open_store(url, FLEET, BORN), open_store(url, FLEET, BORN)
    store.renew_lease("this test", BORN, 60)
    store.commit(peopled("mi-1"))
    with store._leading() as connection:
        connection.execute(schema.nodes.update().values(name="half-way"))
        assert [row.name for row in reader.nodes()] == ["name-of-mi-1"]
    assert [row.name for row in reader.nodes()] == ["half-way"]
    store.close()
    reader.close()


def test_threads_may_read_while_others_commit(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state.db", FLEET, BORN)
    store.renew_lease("this test", BORN, 60)
    ids = [f"mi-{at}" for at in range(4)]
    store.commit(peopled(*ids))
    problems: list[Exception] = []

    def report(id_: str) -> None:
        try:
            for seq in range(1, 21):
                store.commit(Changes(reported=(said(id_, seq),)))
                assert store.assignments_of(id_)[0].seq == seq
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=report, args=(id_,)) for id_ in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert [row.seq for row in store.assignments()] == [20] * 4
    store.close()


def test_many_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    start, opened = threading.Barrier(4), []

    def open_it() -> None:
        start.wait(10)
        store = open_store(url, FLEET, BORN)
        opened.append(store.incarnation)
        store.close()

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert opened == [BORN] * 4


def test_an_open_iterator_can_be_dropped(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/state.db", FLEET, BORN)
    store.renew_lease("this test", BORN, 60)
    store.commit(peopled("mi-1", "mi-2"))
    rows = store.assignments()
    assert next(rows).node_id == "mi-1"
    store.commit(Changes(nodes=(node("mi-3"),)))
    assert [row.node_id for row in rows] == ["mi-2"]
    store.close()


_WRITER = """
import sys
from reconciler.adapters.store import open_store
from reconciler.core.records import AuditRow, Changes
store = open_store(sys.argv[1], sys.argv[2], 1)
store.renew_lease("to be killed", 1, 3600, seize=True)
begun = len(store.audit(limit=100000))
for number in range(begun + 1, 100000):
    row = AuditRow(number, "s", "v", "o", "ok")
    store.commit(Changes(settings={"number": str(number)}, audit=(row,)))
    print(number, flush=True)
"""


def test_what_was_committed_survives_a_kill_and_nothing_is_half_done(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    for turn in range(3):
        command = [sys.executable, "-c", _WRITER, url, FLEET]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(20 + turn):
                said = process.stdout.readline()
            process.kill()
            rest = process.stdout.read().split()
        acknowledged = int(rest[-1] if rest else said)
        store = open_store(url, FLEET, BORN)
        kept = store.audit(limit=100_000)
        assert len(kept) >= acknowledged
        assert store.settings() == {"number": str(len(kept))}
        store.close()


def test_postgresql_understands_every_word() -> None:
    """The schema and each statement compile for it; the contract suite runs on it by OPSCTL_TEST_STORE_URL."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so
    for table in schema.metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert "CREATE" in str(CreateIndex(index).compile(dialect=dialect))
    written = [some for some in vars(Statements("postgresql")).values() if isinstance(some, Insert | Update | Delete)]
    read = [some for some in vars(queries).values() if isinstance(some, Select | Delete)]
    assert (len(written), len(read)) > (15, 15)
    for some in (*written, *read):
        given = [column.name for column in some.table.columns] if isinstance(some, Insert) else None
        assert "fleet_id" in str(some.compile(dialect=dialect, column_keys=given))
    assert "string_agg" in str(columns.pairs_of(FLEET).compile(dialect=dialect))
