"""The journal is whatever was on disk: after a clean stop, a torn write, a bad sector, or a second agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.state import journal as journals
from agent.state import recordlog
from agent.state.journal import Journal, Reported, RunInstant, RunKey
from agent.state.lock import StateInUse
from tests.agent.reports import report

KEY = RunKey("Association/backup", 3, "", "dump", 1)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


def reopened(journal: Journal, state: Path) -> Journal:
    journal.close()
    return Journal(str(state))


def test_a_run_is_remembered_across_restarts(state: Path) -> None:
    journal = Journal(str(state))
    assert journal.state(KEY) is None
    journal.started(KEY, "boot-1")
    journal = reopened(journal, state)
    assert journal.state(KEY) == ("started", "boot-1")
    journal.finished(KEY, 3, "Failed")
    journal = reopened(journal, state)
    assert journal.state(KEY) == ("finished", 3, "Failed")
    assert journal.state(KEY._replace(attempt=2)) is None
    assert journal.state(KEY._replace(run_instant="2026-01-01T00:00:00.000Z")) is None
    journal.close()


def test_a_run_instant_is_remembered(state: Path) -> None:
    journal = Journal(str(state))
    assert journal.instant(KEY.uid) is None
    journal.take_instant(KEY.uid, RunInstant(3, "2026-01-01T00:00:00.000Z", 1_767_225_600_000))
    journal = reopened(journal, state)
    assert journal.instant(KEY.uid) == RunInstant(3, "2026-01-01T00:00:00.000Z", 1_767_225_600_000)
    journal.close()


def test_reports_keep_their_number_until_acknowledged(state: Path) -> None:
    journal = Journal(str(state))
    first = journal.report(report(uid="Association/a"), "digest-a", applied=True)
    second = journal.report(report(uid="Association/b"), "digest-b", applied=False)
    third = journal.report(report(uid="Association/a", generation=2), "digest-a2", applied=True)
    assert (first, second, third) == (1, 2, 3)
    journal = reopened(journal, state)
    assert [item.seq for item in journal.pending()] == [1, 2, 3]
    assert journal.payload(2) == canonical(to_wire(report(uid="Association/b", seq=2)))
    journal.acknowledged(2)
    assert [item.seq for item in journal.pending()] == [3]
    assert journal.payload(2) is None
    journal = reopened(journal, state)
    assert [item.seq for item in journal.pending()] == [3]
    journal.acknowledged(3)
    journal = reopened(journal, state)
    assert journal.pending() == []
    assert journal.last_seq() == 3
    assert journal.report(report(), "x", applied=True) == 4
    assert journal.last_reported("Association/a") == Reported(
        2, digest(b"body"), digest(b"context"), "digest-a2", applied=True
    )
    assert journal.last_reported("Association/b") is not None
    assert journal.last_reported("Association/c") is None
    journal.close()


def test_a_final_report_forgets_what_was_reported(state: Path) -> None:
    journal = Journal(str(state))
    journal.report(report(), "digest", applied=True)
    journal.report(report(cause="Removed"), "", applied=True)
    assert journal.last_reported(report().uid) is None
    journal = reopened(journal, state)
    assert journal.last_reported(report().uid) is None
    journal.close()


def test_a_second_agent_is_refused_and_told_who_runs(state: Path) -> None:
    journal = Journal(str(state))
    with pytest.raises(StateInUse, match=f"process {os.getpid()}.*{state}"):
        Journal(str(state))
    journal.close()
    Journal(str(state)).close()


def test_starts_ends_instants_and_reports_are_synced_before_they_return(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    path = state / "journal"
    monkeypatch.setattr(recordlog, "_fdatasync", lambda file: synced.append(path.stat().st_size))
    journal = Journal(str(state))
    acts: list[Callable[[], object]] = [
        lambda: journal.started(KEY, "boot-1"),
        lambda: journal.finished(KEY, 0, "Success"),
        lambda: journal.take_instant(KEY.uid, RunInstant(3, "", 0)),
        lambda: journal.report(report(), "digest", applied=True),
    ]
    for act in acts:
        act()
        assert synced[-1] == path.stat().st_size
    assert len(synced) == 4
    journal.acknowledged(1)
    assert len(synced) == 4
    journal.close()


def history(state: Path) -> list[int]:
    """A journal with four records; the file's size after each."""
    journal, sizes = Journal(str(state)), []
    acts: list[Callable[[], object]] = [
        lambda: journal.started(KEY, "boot-1"),
        lambda: journal.finished(KEY, 0, "Success"),
        lambda: journal.report(report(), "digest", applied=True),
        lambda: journal.started(KEY._replace(generation=4), "boot-1"),
    ]
    for act in acts:
        act()
        sizes.append((state / "journal").stat().st_size)
    journal.close()
    return sizes


def test_cut_anywhere_it_holds_exactly_the_records_before_the_cut(state: Path) -> None:
    sizes = history(state)
    whole = (state / "journal").read_bytes()
    edges = {edge + near for edge in (0, *sizes) for near in range(-12, 13)}
    for end in sorted({end for end in edges if 0 <= end <= len(whole)} | set(range(0, len(whole), 17))):
        (state / "journal").write_bytes(whole[:end])
        journal = Journal(str(state))
        assert journal.damaged == 0
        records = sum(size <= end for size in sizes)
        expected = (None, ("started", "boot-1"), ("finished", 0, "Success"))[min(records, 2)]
        assert journal.state(KEY) == expected
        assert journal.last_seq() == (1 if records >= 3 else 0)
        journal.started(KEY._replace(step="after"), "boot-2")
        journal = reopened(journal, state)
        assert journal.state(KEY._replace(step="after")) == ("started", "boot-2")
        assert journal.state(KEY) == expected
        journal.close()


def test_a_file_that_a_power_cut_filled_with_zeros_is_a_torn_end(state: Path) -> None:
    history(state)
    with (state / "journal").open("ab") as file:
        file.write(bytes(5000))
    journal = Journal(str(state))
    assert journal.damaged == 0
    assert journal.state(KEY) == ("finished", 0, "Success")
    journal.close()


def test_damage_inside_is_stepped_over_said_and_kept_for_inspection(state: Path) -> None:
    sizes = history(state)
    whole = bytearray((state / "journal").read_bytes())
    whole[sizes[0] + 20] ^= 1
    (state / "journal").write_bytes(whole)
    journal = Journal(str(state))
    assert journal.damaged == sizes[1] - sizes[0]
    assert journal.state(KEY) == ("started", "boot-1")  # its end is lost: it will be Interrupted, never run again
    assert journal.last_seq() == 1
    assert (state / "journal.damaged").read_bytes() == bytes(whole)
    journal = reopened(journal, state)
    assert journal.damaged == 0
    assert journal.last_seq() == 1
    journal.close()


def test_a_file_of_garbage_is_set_aside(state: Path) -> None:
    (state / "journal").write_bytes(b"\x8f" * 4096)
    journal = Journal(str(state))
    assert journal.damaged == 4096
    assert (state / "journal.damaged").read_bytes() == b"\x8f" * 4096
    journal.started(KEY, "boot-1")
    journal = reopened(journal, state)
    assert journal.damaged == 0
    assert journal.state(KEY) == ("started", "boot-1")
    journal.close()


@settings(deadline=None)
@given(some.lists(some.binary(max_size=80), max_size=12), some.data())
def test_a_scan_finds_every_record_that_one_bad_byte_left_whole(payloads: list[bytes], data: some.DataObject) -> None:
    whole = bytearray(recordlog.HEADER + b"".join(recordlog.framed(payload) for payload in payloads))
    assert [record.payload for record in recordlog.scan(bytes(whole)).records] == payloads
    at = data.draw(some.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(some.integers(1, 255))
    found = [record.payload for record in recordlog.scan(bytes(whole)).records]
    assert len(found) >= len(payloads) - 1
    assert set(found) <= set(payloads)


def test_it_stays_small_and_keeps_what_can_be_asked_for(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "COMPACT_AT", 4096)
    journal = Journal(str(state))
    once = KEY._replace(generation=1)
    journal.started(once, "boot-1")
    journal.finished(once, 0, "Success")
    waiting = journal.report(report(uid="Association/waiting"), "waiting", applied=True)
    for number in range(300):
        key = KEY._replace(generation=2, run_instant=f"instant-{number:03}")
        journal.started(key, "boot-1")
        journal.finished(key, 0, "Success")
        journal.take_instant(KEY.uid, RunInstant(2, key.run_instant, number))
        journal.report(report(uid="Association/busy"), f"digest-{number}", applied=True)
    assert (state / "journal").stat().st_size > 300 * 400  # reports that nobody acknowledged are kept
    assert waiting is not None
    assert journal.payload(waiting) == canonical(to_wire(report(uid="Association/waiting", seq=waiting)))
    journal.acknowledged(journal.last_seq())
    for _ in range(50):
        journal.started(KEY._replace(generation=2, run_instant="instant-299"), "boot-2")
    journal = reopened(journal, state)
    assert (state / "journal").stat().st_size < 3 * 4096
    assert journal.state(once) == ("finished", 0, "Success")
    assert journal.state(KEY._replace(generation=2, run_instant="instant-299")) == ("started", "boot-2")
    assert journal.state(KEY._replace(generation=2, run_instant="instant-000")) is None
    assert journal.instant(KEY.uid) == RunInstant(2, "instant-299", 299)
    assert journal.last_seq() == 301
    assert journal.pending() == []
    assert journal.last_reported("Association/waiting") is not None
    journal.close()


def test_what_was_reported_survives_compaction_beside_reports_that_wait(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "COMPACT_AT", 0)  # compact whenever the log has doubled
    journal = Journal(str(state))
    for number in range(40):
        journal.report(report(uid=f"Association/{number % 3}", generation=number), str(number), applied=True)
        if number % 7 == 0:
            journal.acknowledged(number - 2)
    journal = reopened(journal, state)
    assert [json.loads(journal.payload(item.seq) or b"")["seq"] for item in journal.pending()] == [
        item.seq for item in journal.pending()
    ]
    newest = journal.last_reported("Association/0")
    assert newest is not None
    assert newest.content == "39"
    journal.close()


def test_a_full_disk_leaves_no_half_record(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(state))
    real = os.write

    def short(file: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return real(file, data[: len(data) - 10])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="No space"):
        journal.started(KEY, "boot-1")
    monkeypatch.setattr(os, "write", real)
    assert journal.state(KEY) is None
    journal.started(KEY._replace(step="next"), "boot-1")
    journal = reopened(journal, state)
    assert journal.damaged == 0
    assert journal.state(KEY._replace(step="next")) == ("started", "boot-1")
    journal.close()


def test_a_start_outlives_a_kill(state: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from agent.state.journal import Journal, RunKey
        Journal(sys.argv[1]).started(RunKey("Association/backup", 3, "", "dump", 1), "boot-1")
        print("started", flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(state)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGKILL)
    journal = Journal(str(state))
    assert journal.state(KEY) == ("started", "boot-1")
    journal.close()
