"""The watch with the rounds on a real tree: what is told at once, once, and never without end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.contract import wire
from agent.host.inotify import Inotify
from agent.state import status
from agent.state.status import StatusFile
from agent.steps.watched import Watched
from agent.watch import watch
from agent.watch.routes import Routes
from agent.watch.units import Units
from agent.watch.watch import Thing, Watch
from tests.agent.bus import Bus
from tests.agent.rig import Rig, body, script

PATIENCE = 10.0
MOTD = Thing("Association/motd", "path:/etc/motd")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.watch_it()
    yield made
    made.close()


def outcomes(reports: list[wire.Report]) -> list[tuple[str, list[str]]]:
    return [(report.cause, [claim.outcome for claim in report.claims]) for report in reports]


def told(rig: Rig) -> list[wire.Report]:
    """What comes of whatever is touched next."""
    assert rig.watch is not None
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        rig.watch.wait(PATIENCE)
        reports = rig.run()
        if reports:
            return reports
    raise AssertionError("nothing was told")


def settled(rig: Rig) -> None:
    """Look at what the agent's own writes have touched, and find that nothing more comes of it."""
    assert rig.watch is not None
    for _ in range(3):
        rig.watch.wait(0.2)
        assert rig.run() == []
    assert rig.watch.touched() == set()


def test_an_edit_is_healed_and_told_at_once(rig: Rig) -> None:
    rig.give(1, body())
    assert outcomes(rig.run()) == [("Assigned", ["Changed"])]
    settled(rig)
    rig.file().write_text("by hand\n")
    assert outcomes(told(rig)) == [("Drift", ["Changed"])]
    assert rig.file().read_text() == "hello\n"
    settled(rig)


def test_the_agents_own_writes_end_in_silence(rig: Rig) -> None:
    rig.give(1, body(), script("touch $OPSCTL_ROOT/etc/motd.d"))
    rig.run()
    before = {path: path.stat().st_mtime_ns for path in Path(rig.state).rglob("*")}
    settled(rig)
    assert {path: path.stat().st_mtime_ns for path in Path(rig.state).rglob("*")} == before


def test_what_is_monitored_is_told_once_and_left(rig: Rig) -> None:
    rig.give(1, body(mode="ApplyAndMonitor"))
    rig.run()
    settled(rig)
    rig.file().write_text("by hand\n")
    assert outcomes(told(rig)) == [("Drift", ["Drifted"])]
    rig.file().write_text("by hand\n")
    settled(rig)
    rig.file().write_text("hello\n")
    assert outcomes(told(rig)) == [("Drift", ["Unchanged"])]


def test_only_what_was_touched_is_looked_at(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.give(1, body(), body("Association/other", path="/etc/other"))
    rig.run()
    settled(rig)
    looked: list[str] = []
    real = rig.rounds._look

    def noted(uid: str, *more: Any) -> None:
        looked.append(uid)
        real(uid, *more)

    monkeypatch.setattr(rig.rounds, "_look", noted)
    rig.file("etc/other").unlink()
    (report,) = told(rig)
    assert (report.uid, report.cause) == ("Association/other", "Drift")
    assert set(looked) == {"Association/other"}


def test_a_change_in_many_steps_is_one_look(rig: Rig) -> None:
    rig.give(1, *(body(f"Association/{name}", path=f"/etc/{name}") for name in "abc"))
    rig.run()
    settled(rig)
    for name in "abc":
        for _ in range(20):
            rig.file(f"etc/{name}").write_text("by hand\n")
    assert outcomes(told(rig)) == [("Drift", ["Changed"])] * 3


def test_a_fight_is_told_slowed_down_and_shown(rig: Rig) -> None:
    rig.give(1, body(), interval=1800)
    rig.run()
    settled(rig)
    for _ in range(3):
        rig.file().write_text("by another hand\n")
        (report,) = told(rig)
    assert (report.claims[0].reason or "").startswith("Fight: something else changes it back; put right 3 times")
    rig.file().write_text("by another hand\n")
    (report,) = told(rig)
    assert (report.claims[0].outcome, report.status) == ("Drifted", "Success")
    assert (report.claims[0].reason or "").startswith("Fight:")
    shown = status.read(rig.state, "results.json")["Association/motd"]["problems"]
    assert [(item["outcome"], item["reason"][:6]) for item in shown] == [("Drifted", "Fight:")]
    for _ in range(5):
        rig.file().write_text("by another hand\n")
        settled(rig)
    assert rig.file().read_text() == "by another hand\n"
    (report,) = rig.run(after=61)
    assert (report.cause, report.claims[0].outcome) == ("Drift", "Changed")
    assert "put right 4 times" in (report.claims[0].reason or "")
    assert rig.run(after=60) == []
    (report,) = rig.run(after=61)
    assert (report.claims[0].outcome, report.claims[0].reason) == ("Unchanged", None)
    assert status.read(rig.state, "results.json")["Association/motd"]["problems"] == []
    rig.file().write_text("by hand, once\n")
    assert outcomes(told(rig)) == [("Drift", ["Changed"])]


def test_a_look_that_touches_what_it_watches_becomes_rare(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    test = wire.BodyStep("busy", "ops:script", 1, {"test": ["touch $OPSCTL_ROOT/etc/motd"], "apply": ["true"]})
    held = body()
    held.steps.append(test)
    rig.give(1, held, interval=1800)
    rig.run()
    looks = 0
    real = rig.rounds._look

    def counted(*arguments: Any) -> None:
        nonlocal looks
        looks += 1
        real(*arguments)

    monkeypatch.setattr(rig.rounds, "_look", counted)
    assert rig.watch is not None
    for _ in range(20):
        rig.watch.wait(0.1)
        rig.run(after=0.1)
    assert 2 <= looks <= 6


def test_new_bodies_are_watched_and_old_ones_are_not(rig: Rig) -> None:
    rig.give(1, body())
    rig.run()
    settled(rig)
    rig.give(2, body(path="/etc/issue"), generation=2)
    rig.run()
    settled(rig)
    rig.file().write_text("nobody's\n")
    settled(rig)
    rig.file("etc/issue").write_text("by hand\n")
    assert outcomes(told(rig)) == [("Drift", ["Changed"])]


# The watch by itself


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Watch]:
    (tmp_path / "etc").mkdir()
    made = Watch(StatusFile(str(tmp_path), "watch.json"), str(tmp_path))
    yield made
    made.close()


def at_interval(directory: Path) -> list[str]:
    found = status.read(str(directory), "watch.json")["atInterval"]
    assert isinstance(found, list)
    return found


def test_waiting_ends_by_a_call_and_by_time(alone: Watch) -> None:
    alone.over({MOTD: Watched(("/etc/motd",))})
    alone.wake()
    alone.wait(60)
    began = time.monotonic()
    alone.wait(0.05)
    assert 0.05 <= time.monotonic() - began < 5
    assert alone.touched() == set()


def test_a_busy_neighbour_wakes_nobody(alone: Watch, tmp_path: Path) -> None:
    alone.over({MOTD: Watched(("/etc/motd",))})
    (tmp_path / "etc/neighbour").write_text("busy\n")
    began = time.monotonic()
    alone.wait(0.4)
    assert time.monotonic() - began >= 0.4
    assert alone.touched() == set()


def test_an_overflow_touches_everything_and_is_said(alone: Watch, tmp_path: Path) -> None:
    other = Thing("Association/other", "path:/etc/other")
    alone.over({MOTD: Watched(("/etc/motd",)), other: Watched(("/etc/other",))})
    names = [tmp_path / "etc/one", tmp_path / "etc/two"]
    for name in names:
        name.touch()
    for _ in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 2 + 1):
        for name in names:
            os.utime(name)
    alone.wait(PATIENCE)
    assert alone.touched() == {MOTD, other}
    (said,) = at_interval(tmp_path)
    assert "overflowed" in said
    (tmp_path / "etc/motd").write_text("seen again\n")
    alone.wait(PATIENCE)
    assert alone.touched() == {MOTD}


def test_without_inotify_the_interval_is_left(
    alone: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def none(_: Inotify) -> None:
        raise OSError(24, "Too many open files", "inotify")

    monkeypatch.setattr(Inotify, "__init__", none)
    for _ in range(3):
        alone.over({MOTD: Watched(("/etc/motd",))})
        alone.wait(0.01)
    assert at_interval(tmp_path) == ["1 of 1 paths (inotify: Too many open files)"]
    assert capfd.readouterr().err.count("Too many open files") == 1
    monkeypatch.undo()
    monkeypatch.setattr(watch, "RETRY_PATHS", 0.0)
    alone._retry_paths = 0.0
    alone.wait(PATIENCE)
    assert alone.touched() == {MOTD}
    assert at_interval(tmp_path) == []


def test_what_there_is_no_watch_for_is_said(tmp_path: Path) -> None:
    made = Watch(StatusFile(str(tmp_path), "watch.json"), str(tmp_path), at_most=1)
    (tmp_path / "etc").mkdir()
    made.over({MOTD: Watched(("/etc/motd",))})
    (said,) = at_interval(tmp_path)
    assert said.startswith("1 of 1 paths (")
    assert "more than 1 directories" in said
    made.close()


def test_units_wake_and_a_lost_bus_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RETRY_UNITS", 0.05)
    nginx = Thing("Association/web", "unit:nginx.service")
    made = Watch(StatusFile(str(tmp_path), "watch.json"), "/", Units(str(tmp_path / "bus"), str(tmp_path / "none")))
    made.over({nginx: Watched((), ("nginx.service",))})
    assert "1 units (" in at_interval(tmp_path)[0]
    with Bus(tmp_path / "bus") as bus:
        made.wait(PATIENCE)
        assert made.touched() == {nginx}
        assert at_interval(tmp_path) == []
        bus.wait_for_call("Subscribe")
        bus.signal("/org/freedesktop/systemd1/unit/nginx_2eservice", "PropertiesChanged")
        made.wait(PATIENCE)
        assert made.touched() == {nginx}
    made.close()


def test_mounting_over_a_directory_is_seen(alone: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mount: the kernel's word that there was one makes all ways be walked again."""
    alone.over({MOTD: Watched(("/etc/motd",))})
    monkeypatch.setattr(Routes, "refresh", lambda _: {"/etc/motd"})
    assert alone._mounts is not None
    assert alone._read({alone._mounts})
    assert alone.touched() == {MOTD}
