"""A state directory whose disk is full, out of inodes or read-only: the agent goes on, and nothing taken is lost."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.enrolment import enroll
from agent.state import journal as journals
from agent.state import recordlog
from agent.state.journal import Journal, RunKey
from agent.state.lock import StateInUse
from tests.agent import program
from tests.agent.gateway import Gateway
from tests.agent.program import until
from tests.agent.reports import report
from tests.agent.rig import body, script

pytestmark = pytest.mark.fault

KEY = RunKey("Association/backup", 3, "", "dump", 1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=200", "tmpfs", str(where)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def turn(disk: Path, mode: str) -> None:
    """Read-only (`ro`) or back (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)


def fill(disk: Path) -> None:
    with (disk / "hog").open("ab") as hog:
        for size in (65536, 1):
            while _takes(partial(os.write, hog.fileno(), b"x" * size)):
                pass  # until there is room for no more of this size


def use_up_inodes(disk: Path) -> None:
    numbers = itertools.count()
    while _takes((disk / f"hog-{next(numbers)}").touch):
        pass  # until there are none


def _takes(write: Callable[[], object]) -> bool:
    try:
        write()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


def relieve(disk: Path) -> None:
    for hog in disk.glob("hog*"):
        hog.unlink()


def seqs(journal: Journal) -> list[int]:
    return [item.seq for item in journal.pending()]


# The journal


def test_what_was_held_back_takes_reports_on_a_full_disk(disk: Path) -> None:
    journal = Journal(str(disk))
    fill(disk)
    long = dataclasses.replace(report(), output="o" * 200_000)
    assert journal.report(long, "a", applied=True) == 1
    journal.started(KEY, "boot-1")
    assert not (disk / "journal.reserve").exists()
    relieve(disk)
    journal.finished(KEY, 0, "Success")
    assert (disk / "journal.reserve").stat().st_size == recordlog.RESERVE
    journal.close()


def test_what_no_disk_takes_waits_in_memory_in_order(disk: Path) -> None:
    journal = Journal(str(disk))
    journal.started(KEY, "boot-1")
    fill(disk)
    (disk / "journal.reserve").unlink()
    fill(disk)
    attempts = itertools.count(2)
    while _takes(lambda: journal.started(KEY._replace(attempt=next(attempts)), "boot-1")):
        assert next(attempts) < 10_000  # nothing is started that cannot be written down
    numbers = [journal.report(report(uid=f"Association/{n}"), f"content {n}", applied=True) for n in range(5)]
    journal.finished(KEY, 7, "Failed")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        journal.report(report(uid="Association/gone"), "", applied=True)
    assert numbers == [None] * 5
    assert journal.state(KEY) == ("finished", 7, "Failed")
    assert journal.pending_count() == 5
    assert journal.report(report(uid="Association/4"), "content 4", applied=True) is None  # the same once more
    assert (journal.pending_count(), journal.write_again()) == (5, False)
    relieve(disk)
    assert journal.write_again()
    assert journal.unwritten() == 0
    assert seqs(journal) == [1, 2, 3, 4, 5]
    journal.close()
    again = Journal(str(disk))
    assert (seqs(again), again.state(KEY)) == ([1, 2, 3, 4, 5], ("finished", 7, "Failed"))
    again.close()


def test_a_journal_that_turns_read_only_and_back(disk: Path) -> None:
    journal = Journal(str(disk))
    journal.report(report(), "a", applied=True)
    journal.close()
    turn(disk, "ro")
    reading = Journal(str(disk))
    assert seqs(reading) == [1]
    assert reading.report(report(), "c", applied=True) is None
    reading.acknowledged(1)
    assert (seqs(reading), reading.pending_count()) == ([], 1)
    with pytest.raises(StateInUse):
        Journal(str(disk))
    turn(disk, "rw")
    assert reading.write_again()
    assert seqs(reading) == [2]
    reading.close()


def test_a_full_disk_puts_compaction_off(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "COMPACT_AT", 4096)
    journal = Journal(str(disk))
    use_up_inodes(disk)
    for number in range(50):
        assert journal.report(report(), f"{number}", applied=True) == number + 1
        journal.acknowledged(number)
    grown = (disk / "journal").stat().st_size
    assert grown > 2 * 4096
    relieve(disk)
    for number in range(50, 150):
        journal.report(report(), f"{number}", applied=True)
        journal.acknowledged(number)
    assert (disk / "journal").stat().st_size < grown
    journal.close()


def test_a_server_that_stays_away_does_not_fill_the_disk(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "COMPACT_AT", 16 * 1024)
    monkeypatch.setattr(journals, "PENDING_BYTES", 64 * 1024)
    journal = Journal(str(disk))
    for number in range(200):
        uid = f"Association/{number % 3}"
        journal.report(dataclasses.replace(report(uid=uid), output="o" * 4096), f"{number}", applied=True)
    assert journal.dropped > 100
    assert seqs(journal)[-3:] == [198, 199, 200]
    assert (disk / "journal").stat().st_size < 400_000
    inodes = [entry.name for entry in disk.iterdir()]
    assert sorted(inodes) == ["journal", "journal.reserve", "lock"]
    journal.close()


# The whole agent


@pytest.fixture
def state(gateway: Gateway, disk: Path) -> str:
    enroll(str(disk / "state"), gateway.token(), hostname="web-1")
    return str(disk / "state")


@pytest.fixture
def serving(gateway: Gateway, state: str, tmp_path: Path) -> Iterator[program.Serving]:
    (tmp_path / "root" / "etc").mkdir(parents=True)
    arguments = ("--state", state, "--root", str(tmp_path / "root"), "--scripts")
    with program.Serving(program.THIS, *arguments) as running:
        gateway.wait(lambda: len(gateway.hellos) == 1, "its hello")
        yield running


def shown(state: str) -> str:
    return program.run(program.THIS, "status", "--state", state).stdout


@pytest.mark.parametrize("trouble", ["full", "inodes"])
def test_the_agent_outlives_its_disk(
    gateway: Gateway, serving: program.Serving, disk: Path, state: str, tmp_path: Path, trouble: str
) -> None:
    motd, go = tmp_path / "root/etc/motd", tmp_path / "go"
    slow = script(f"echo begun; while [ ! -e {go} ]; do sleep 0.02; done; exit 3", uid="Association/a-slow")
    gateway.want(1, [body(), slow], interval=1)
    until(lambda: bool(list((disk / "state/executions").glob("*/stdout"))), "the script's start")
    if trouble == "full":
        fill(disk)
        said = "it is full"
    else:
        use_up_inodes(disk)
        said = "it has no inodes left"
    go.touch()
    assert said in shown(state)
    until(lambda: len(gateway.pulses) > 1, "its pulse")
    before = len(gateway.pulses)
    motd.write_text("by hand\n")
    gateway.wait(lambda: len(gateway.pulses) > before + 1, "further pulses")
    assert serving.process.poll() is None
    relieve(disk)
    until(lambda: motd.read_text() == "hello\n", "healing")
    gateway.wait(lambda: any(item.uid == slow.uid for item in gateway.reports), "the script's report")
    (told,) = [item for item in gateway.reports if item.uid == slow.uid]
    assert (told.status, told.reason, told.output) == ("Failed", "run: exit 3: begun", "begun\n")
    assert "full" not in shown(state)
    code, _ = serving.terminate()
    assert code == 0


def test_the_agent_starts_on_a_read_only_state_and_goes_on_when_it_is_not(
    gateway: Gateway, disk: Path, state: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    arguments = ("--state", state, "--root", str(root))
    gateway.want(1, [body()], interval=1)
    assert program.run(program.THIS, "once", *arguments).returncode == 0
    (root / "etc/motd").write_text("by hand\n")
    turn(disk, "ro")
    with program.Serving(program.THIS, *arguments) as running:
        gateway.wait(lambda: len(gateway.hellos) == 2, "its hello")
        gateway.wait(lambda: any(pulse.pending for pulse in gateway.pulses), "a report that waits in memory")
        assert "it is read-only" in shown(state)
        assert (root / "etc/motd").read_text() == "by hand\n"
        turn(disk, "rw")
        until(lambda: (root / "etc/motd").read_text() == "hello\n", "healing")
        gateway.wait(lambda: gateway.reports[-1].status == "Success" and len(gateway.reports) >= 3, "the reports")
        assert [item.seq for item in gateway.reports] == list(range(1, len(gateway.reports) + 1))
        assert "Read-only file system" in (gateway.reports[1].reason or "")
        assert running.terminate()[0] == 0


def test_a_set_that_no_disk_takes_is_held_once_there_is_room(
    gateway: Gateway, serving: program.Serving, disk: Path
) -> None:
    gateway.want(1, [body()], interval=1)
    gateway.wait(lambda: len(gateway.reports) == 1, "the first report")
    use_up_inodes(disk)
    gateway.want(2, [body(), body("Association/other", path="/etc/other")], interval=1)
    pulses = len(gateway.pulses)
    gateway.wait(lambda: len(gateway.pulses) > pulses + 1, "further pulses")
    assert (gateway.held[-1].serial, len(gateway.hellos)) == (1, 1)  # it stays connected meanwhile
    relieve(disk)
    gateway.connections[-1].hang_up()  # else it is tried again in half a minute
    gateway.wait(lambda: any(item.uid == "Association/other" for item in gateway.reports), "its report")
