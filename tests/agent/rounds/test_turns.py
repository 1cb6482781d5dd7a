"""Runs of scripts in rounds over a sandbox: once per generation and per instant of a schedule, whatever happens."""

from __future__ import annotations

from agent.state.journal import RunKey
from tests.agent.rig import Rig, body, causes, counting, script


def test_a_script_runs_once_per_generation(rig: Rig) -> None:
    rig.give(1, counting())
    assert causes(rig.run()) == [("script", "Assigned", "Success")]
    for _ in range(3):
        assert rig.run(after=30) == []
    rig.restart()
    assert rig.run() == []
    rig.give(2, counting(), labels={"new": "context"})
    assert causes(rig.run()) == [("script", "Assigned", "Success")]
    assert rig.runs() == 1
    rig.give(3, counting(), generation=2)
    assert causes(rig.run()) == [("script", "Assigned", "Success")]
    assert rig.runs() == 2
    rig.give(4)
    rig.run()
    rig.give(5, counting(), generation=2)
    assert causes(rig.run()) == [("script", "Assigned", "Success")]
    assert rig.runs() == 2


def test_a_script_runs_once_per_instant_of_its_schedule(rig: Rig) -> None:
    rig.clock.seconds = 0.0
    rig.give(1, counting(schedule="rate(1 hour)"), interval=600)
    assert causes(rig.run()) == [("script", "Assigned", "Success")]
    assert rig.run(after=3599) == []
    assert rig.runs() == 1
    assert 0 < rig.rounds.wait() <= 1
    (report,) = rig.run(after=1)
    assert (report.cause, rig.runs()) == ("Schedule", 2)
    rig.restart()
    assert rig.run() == []
    assert rig.run(after=600) == []
    assert rig.runs() == 2
    assert causes(rig.run(after=5 * 3600)) == [("script", "Schedule", "Success")]
    assert rig.runs() == 3


def test_a_schedule_waits_for_leave_without_turning_in_circles(rig: Rig) -> None:
    rig.clock.seconds = 0.0
    scheduled = counting(schedule="rate(1 hour)")
    rig.give(1, scheduled)
    rig.run()
    rig.give(2, scheduled, assignment={"permit": "required"})
    rig.run(after=3600)
    assert rig.runs() == 1
    assert rig.rounds.wait() > 0
    rig.give(3, scheduled)
    assert causes(rig.run(after=30)) == [("script", "Schedule", "Success")]
    assert rig.runs() == 2


def test_a_schedule_of_something_held_changes_nothing(rig: Rig) -> None:
    rig.give(1, body(schedule="rate(1 minute)"))
    rig.run()
    assert rig.run(after=120) == []
    assert rig.journal.instant("Association/motd") is None


def test_a_script_cut_off_by_a_crash_ends_as_interrupted_and_is_not_run_again(rig: Rig) -> None:
    rig.give(1, counting())
    rig.journal.started(RunKey("Association/script", 1, "", "run", 1), "boot-1")
    rig.restart(boot="boot-2")
    (report,) = rig.run()
    assert report.status == "Failed"
    assert "Interrupted" in (report.reason or "")
    for _ in range(2):
        assert rig.run(after=30) == []
    assert rig.runs() == 0


def test_a_failed_script_is_told_once(rig: Rig) -> None:
    rig.give(1, script("echo to the log; exit 3"))
    (report,) = rig.run()
    assert report.status == "Failed"
    assert "exit 3" in (report.reason or "")
    assert report.output == "to the log\n"
    assert rig.run(after=30) == []
