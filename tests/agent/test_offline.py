"""A pass without a server, and the shortcut that a pass takes which has nothing to do."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import offline, shortcut
from agent.clock import SystemClock
from agent.contract import wire
from agent.contract.inputs.files import FileInputs
from agent.host import Host, LocalHost
from agent.rounds import standing
from agent.steps import file as file_step
from agent.steps.step import Given
from tests.agent.rig import HandClock, Rig, body, script


class Clock(HandClock):
    """The machine's, so that a pass of its own finds the node in touch."""

    def now(self) -> int:
        return SystemClock().now()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A node whose agent does not run."""
    made = Rig(tmp_path)
    made.clock = Clock()
    made.close()
    return made


@contextlib.contextmanager
def running(rig: Rig) -> Iterator[Rig]:
    rig.start()
    try:
        yield rig
    finally:
        rig.close()


def given(rig: Rig, *bodies: wire.Body, serial: int = 1) -> None:
    """The node holds these, and no agent runs."""
    with running(rig):
        rig.give(serial, *bodies)


def once(rig: Rig) -> int:
    return offline.offline(rig.state, str(rig.root))


def short(rig: Rig, word: str = "--offline") -> bool:
    return shortcut.taken(["once", word, "--state", rig.state, f"--root={rig.root}"])


def steps(*rows: tuple[str, dict[str, object]]) -> wire.Body:
    made = [wire.BodyStep(f"step-{at}", action, 1, dict(inputs)) for at, (action, inputs) in enumerate(rows)]
    return wire.Body("Association/all", "all", made)


ALL = steps(
    ("ops:directory", {"path": "/srv", "mode": "0755"}),
    ("ops:file", {"path": "/srv/one", "content": "one\n", "mode": "0644"}),
    ("ops:link", {"path": "/srv/link", "target": "one"}),
    ("ops:line", {"path": "/srv/lines", "line": "ours", "create": True}),
)


def test_what_is_held_is_brought_about_without_a_server(rig: Rig) -> None:
    given(rig, body())
    assert once(rig) == 0
    assert rig.file().read_text() == "hello\n"
    with running(rig):
        assert [report.status for report in rig.reports()] == ["Success"], "the report waits for a server"


def test_a_pass_that_fails_says_so(rig: Rig) -> None:
    given(rig, body(path="/nowhere/motd"))
    assert once(rig) == 1
    assert not short(rig)


def test_a_pass_with_nothing_to_do_is_taken_short(rig: Rig) -> None:
    given(rig, ALL)
    assert not short(rig)
    assert once(rig) == 0
    assert not short(rig), "the pass before changed something"
    assert once(rig) == 0
    assert short(rig)
    assert short(rig, "--dry-run")


def same_size_and_time(root: Path) -> None:
    path = root / "srv/one"
    before = path.stat()
    path.write_text("two\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "edit",
    [
        same_size_and_time,
        lambda root: (root / "srv/one").chmod(0o600),
        lambda root: (root / "srv/one").unlink(),
        lambda root: (root / "srv").chmod(0o700),
        lambda root: ((root / "srv/link").unlink(), (root / "srv/link").symlink_to("two")),
        lambda root: (root / "srv/lines").write_text("theirs\n"),
        lambda root: ((root / "srv/one").unlink(), (root / "srv/one").symlink_to("other")),
    ],
)
def test_whatever_is_edited_is_found(rig: Rig, edit: Callable[[Path], object]) -> None:
    given(rig, ALL)
    once(rig)
    once(rig)
    assert short(rig)
    edit(rig.root)
    assert not short(rig)


def test_an_edit_that_keeps_size_and_time_is_put_right(rig: Rig) -> None:
    given(rig, ALL)
    for _ in range(2):
        once(rig)
    same_size_and_time(rig.root)
    assert not short(rig)
    assert once(rig) == 0
    assert (rig.root / "srv/one").read_text() == "one\n"


def test_another_set_is_looked_at(rig: Rig) -> None:
    given(rig, ALL)
    for _ in range(2):
        once(rig)
    given(rig, ALL, body(), serial=2)
    assert not short(rig)


def test_what_the_journal_has_learnt_since_is_looked_at(rig: Rig) -> None:
    given(rig, ALL)
    for _ in range(2):
        once(rig)
    with running(rig):
        rig.journal.acknowledged(1)
    assert not short(rig)
    once(rig)
    assert short(rig)


@pytest.mark.parametrize(
    "other", [script("true"), body("Association/t", path="/etc/t", text="{{ name }}")], ids=["script", "template"]
)
def test_what_more_than_reads_decides_is_never_taken_short(rig: Rig, other: wire.Body) -> None:
    other.steps[0].inputs.update(template=True) if "content" in other.steps[0].inputs else None
    given(rig, ALL, other)
    for _ in range(3):
        once(rig)
    assert not short(rig)


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["once"],
        ["once", "--wait", "3", "--offline"],
        ["once", "--help", "--offline"],
        ["once", "--offline", "--state"],
        [],
    ],
)
def test_other_words_take_the_ordinary_way(words: list[str]) -> None:
    assert not shortcut.taken(words)


def test_while_another_agent_works_nothing_is_taken_short(rig: Rig) -> None:
    given(rig, ALL)
    for _ in range(2):
        once(rig)
    with running(rig):
        assert not short(rig)


def test_a_dry_run_says_what_would_change_and_changes_nothing(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    given(rig, body(), script("echo ran >> $OPSCTL_ROOT/ran"))
    before = {path: path.read_bytes() for path in Path(rig.state).rglob("*") if path.is_file()}
    assert offline.dry_run(rig.state, str(rig.root), runs_scripts=True) == 1
    said = capsys.readouterr().out
    assert "Association/motd  path:/etc/motd  absent -> file of 6 bytes" in said
    assert "+hello" in said
    assert "Association/script  script:run" in said
    assert not rig.file().exists()
    after = {path: path.read_bytes() for path in Path(rig.state).rglob("*") if path.is_file()}
    assert after == before, "not even a note"
    once(rig)
    assert offline.dry_run(rig.state, str(rig.root)) == 0


def test_a_look_that_runs_a_program_or_asks_the_time_is_not_repeated(rig: Rig) -> None:
    host = LocalHost(str(rig.root))
    uses: list[Callable[[Host], object]] = [lambda host: host.run(["true"]), lambda host: host.now()]
    for used in uses:
        seen = standing.Seen()
        used(seen.through(host))
        assert not seen.repeatable
    seen = standing.Seen()
    with pytest.raises(FileNotFoundError):
        seen.through(host).read("/etc/not-there")
    assert not seen.repeatable, "it may be there the next time"


def test_a_look_of_reads_alone_is_repeated(rig: Rig) -> None:
    host, seen = LocalHost(str(rig.root)), standing.Seen()
    through = seen.through(host)
    assert through.lstat("/etc") == host.lstat("/etc")
    assert (through.listdir("/etc"), through.sandbox, through.snapshot("/etc/motd")) == ([], True, None)
    assert seen.repeatable
    assert standing.still(host, seen.reads)
    (rig.root / "etc/motd").write_text("a")
    assert not standing.still(host, seen.reads)
    assert through.snapshot("/etc/motd")
    assert not seen.repeatable, "the same read gave two things"


def test_a_running_agent_looks_at_steps_again_only_where_something_reads_otherwise(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    observe = file_step.FileStep.observe

    def noted(self: file_step.FileStep, host: Host, desired: FileInputs, given: Given) -> file_step.Observed:
        looked.append(desired.path)
        return observe(self, host, desired, given)

    monkeypatch.setattr(file_step.FileStep, "observe", noted)
    with running(rig):
        rig.give(1, body())
        rig.run()
        rig.run(after=30)
        assert looked == ["/etc/motd"] * 3, "applied, looked at again, and found as it should be"
        rig.run(after=30)
        assert looked == ["/etc/motd"] * 3
        rig.file().write_text("by hand\n")
        (report,) = rig.run(after=30)
        assert report.claims[0].outcome == "Changed"
        assert rig.file().read_text() == "hello\n"


def test_a_damaged_note_costs_nothing_but_the_shortcut(rig: Rig) -> None:
    given(rig, ALL)
    for _ in range(2):
        once(rig)
    note = Path(standing.path_of(rig.state))
    for data in (b"", b"\xff", json.dumps({"a": 1}).encode(), note.read_bytes()[:-10]):
        note.write_bytes(data)
        assert not short(rig)
    assert once(rig) == 0
    assert short(rig)
