"""Rounds over a sandbox: what is done when, what is told of it, and what a crash does not change."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.contract import wire
from agent.state import status
from tests.agent.rig import Rig, body, causes, outcomes, script

# Converging and telling


def test_what_is_assigned_is_made_true_at_once_and_told_once(rig: Rig) -> None:
    made = rig.give(1, body())
    (report,) = rig.run()
    assert rig.file().read_text() == "hello\n"
    assert (report.cause, report.status, outcomes(report)) == ("Assigned", "Success", ["Changed"])
    assert report.body_digest == made.assignments[report.uid].body_digest
    assert report.context_digest == made.context_digest
    assert (report.generation, report.incarnation, report.seq, report.boot_id) == (1, 1, 1, "boot-1")
    assert rig.run(after=30) == []
    assert rig.run(after=30) == []
    assert rig.rounds.statuses == {"Association/motd": "Success"}


def test_drift_is_healed_at_the_interval_and_told_each_time(rig: Rig) -> None:
    rig.give(1, body())
    rig.run()
    for _ in range(2):
        rig.file().write_text("by hand\n")
        assert rig.run(after=29) == []
        assert rig.file().read_text() == "by hand\n"
        (report,) = rig.run(after=1)
        assert (report.cause, outcomes(report)) == ("Interval", ["Changed"])
        assert rig.file().read_text() == "hello\n"
        assert rig.run(after=30) == []


def test_a_look_that_finds_nothing_new_writes_nothing(rig: Rig) -> None:
    rig.give(1, body(), script("true"))
    rig.run()
    rig.run(after=30)
    before = {path: path.stat().st_mtime_ns for path in Path(rig.state).rglob("*")}
    assert rig.run(after=30) == []
    assert {path: path.stat().st_mtime_ns for path in Path(rig.state).rglob("*")} == before


@pytest.mark.parametrize(("mode", "healed"), [("ApplyAndAutoCorrect", True), ("ApplyAndMonitor", False)])
def test_after_the_first_time_the_mode_decides(rig: Rig, mode: str, healed: bool) -> None:
    rig.give(1, body(mode=mode))
    rig.run()
    assert rig.file().read_text() == "hello\n"
    rig.file().write_text("by hand\n")
    (report,) = rig.run(after=30)
    assert outcomes(report) == ["Changed" if healed else "Drifted"]
    assert rig.run(after=30) == []
    assert rig.file().read_text() == ("hello\n" if healed else "by hand\n")


def test_a_start_looks_at_everything_and_tells_only_what_differs(rig: Rig) -> None:
    rig.give(1, body(), body("Association/other", path="/etc/other"))
    rig.run()
    rig.file().write_text("by hand\n")
    rig.restart(boot="boot-2")
    (report,) = rig.run()
    assert (report.uid, report.cause, report.boot_id) == ("Association/motd", "Boot", "boot-2")


def test_a_crash_before_the_report_leaves_it_assigned(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.give(1, body(mode="ApplyAndMonitor"))
    monkeypatch.setattr("agent.rounds.rounds.converge", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        rig.run()
    monkeypatch.undo()
    rig.restart()
    (report,) = rig.run()
    assert (report.cause, outcomes(report)) == ("Assigned", ["Changed"])
    rig.restart()
    assert rig.run() == []


def test_a_new_context_is_applied_like_a_new_generation(rig: Rig) -> None:
    templated = body(mode="ApplyAndMonitor")
    templated.steps[0].inputs.update(content="{{ labels.motd }}\n", template=True)
    rig.give(1, templated, labels={"motd": "one"})
    rig.run()
    rig.give(2, templated, labels={"motd": "two"})
    (report,) = rig.run()
    assert (report.cause, rig.file().read_text()) == ("Assigned", "two\n")


def test_a_defect_in_a_step_is_told_and_stops_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.rounds.rounds.converge", lambda *_, **__: 1 / 0)
    rig.give(1, body())
    (report,) = rig.run()
    assert report.reason == "a defect in opsctl: ZeroDivisionError: division by zero"
    monkeypatch.undo()
    assert [outcomes(report) for report in rig.run(after=30)] == [["Changed"]]


def test_names_that_are_not_utf8_do_not_stop_a_report(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.rounds.outcome import RunResult

    claim = wire.ClaimReport("path:/etc/\udcff", "motd", "Failed", reason="\udcff")
    instants = ("2026-03-01T00:00:00.000Z",) * 2
    monkeypatch.setattr(
        "agent.rounds.rounds.converge", lambda *_, **__: RunResult("Failed", [claim], *instants, "\udcff")
    )
    rig.give(1, body())
    (report,) = rig.run()
    assert report.claims[0].claim == "path:/etc/?"


def test_a_report_that_is_too_large_is_cut_and_counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.rounds.outcome import RunResult

    claims = [wire.ClaimReport(f"path:/{number}", "x" * 1000, "Failed") for number in range(300)]
    instants = ("2026-03-01T00:00:00.000Z",) * 2
    monkeypatch.setattr("agent.rounds.rounds.converge", lambda *_, **__: RunResult("Failed", claims, *instants, "why"))
    rig.give(1, body())
    (report,) = rig.run()
    assert (report.claims, report.truncated, report.reason) == ([], 300, "why")


# The gate's word


@pytest.mark.parametrize(
    "assignment",
    [
        {"allowed": []},
        {"allowed": [wire.Interval(not_before="2026-03-01T01:00:00.000Z")]},
    ],
)
def test_outside_the_allowed_intervals_it_only_looks(rig: Rig, assignment: dict[str, object]) -> None:
    rig.give(1, body(mode="ApplyAndMonitor"), script("touch $OPSCTL_ROOT/ran"), assignment=assignment)
    reports = rig.run()
    assert [outcomes(report) for report in reports] == [["Drifted"], ["Drifted"]]
    assert not rig.file().exists()
    assert not rig.file("ran").exists()
    assert rig.run(after=30) == []
    rig.give(2, body(mode="ApplyAndMonitor"), script("touch $OPSCTL_ROOT/ran"))
    reports = rig.run(after=30)
    assert causes(reports) == [("motd", "Assigned", "Success"), ("script", "Assigned", "Success")]
    assert rig.file().exists()
    assert rig.file("ran").exists()
    rig.file().write_text("by hand\n")
    assert [outcomes(report) for report in rig.run(after=30)] == [["Drifted"]]


def test_an_interval_that_opens_lets_it_begin(rig: Rig) -> None:
    opens = [wire.Interval(not_before="2026-03-01T01:00:00.000Z")]
    rig.give(1, body(), assignment={"allowed": opens})
    rig.run()
    assert not rig.file().exists()
    rig.run(after=3600)
    assert rig.file().exists()


def test_thirty_days_after_the_last_contact_it_only_monitors(rig: Rig) -> None:
    rig.give(1, body())
    rig.run()
    rig.file().write_text("by hand\n")
    rig.run(after=wire.VALID_FOR - 100)
    assert rig.file().read_text() == "hello\n"
    rig.file().write_text("by hand\n")
    (report,) = rig.run(after=200)
    assert outcomes(report) == ["Drifted"]
    rig.contact.heard()
    (report,) = rig.run(after=30)
    assert outcomes(report) == ["Changed"]


def test_the_last_contact_is_remembered_across_boots_by_the_wall_clock(rig: Rig) -> None:
    rig.give(1, body())
    rig.run()
    rig.restart(boot="boot-2")
    rig.clock.stepped = (wire.VALID_FOR + 60) * 1000
    rig.file().write_text("by hand\n")
    assert [outcomes(report) for report in rig.run()] == [["Drifted"]]


def test_within_a_boot_a_wall_clock_that_steps_changes_nothing(rig: Rig) -> None:
    rig.give(1, body())
    rig.run()
    rig.clock.stepped = (wire.VALID_FOR + 60) * 1000
    rig.file().write_text("by hand\n")
    assert [outcomes(report) for report in rig.run(after=30)] == [["Changed"]]


# What lies about


def test_the_status_file_tells_the_last_results(rig: Rig) -> None:
    rig.give(1, body(), script("exit 3"))
    rig.run()
    shown = status.read(rig.state, "results.json")
    assert shown["Association/motd"]["status"] == "Success"
    assert shown["Association/motd"]["outcomes"] == {"Changed": 1}
    assert shown["Association/script"]["status"] == "Failed"
    assert shown["Association/script"]["problems"][0]["outcome"] == "Failed"
    rig.restart()
    rig.run()
    assert status.read(rig.state, "results.json") == shown


def test_everything_has_been_looked_at_since_the_oldest_look(rig: Rig) -> None:
    rig.give(1, body(), interval=30)
    assert rig.rounds.checked_at() is None
    rig.run()
    looked = rig.clock.now()
    rig.clock.seconds += 10
    assert rig.rounds.checked_at() == looked
    assert rig.rounds.wait() == pytest.approx(20)


def test_it_stops_between_two_associations(rig: Rig) -> None:
    rig.give(1, body(), body("Association/other", path="/etc/other"))
    asked = iter([False, True])
    rig.rounds.run_due(lambda: next(asked))
    assert causes(rig.reports()) == [("motd", "Assigned", "Success")]
    assert causes(rig.run()) == [("other", "Assigned", "Success")]


def test_a_new_store_is_told_everything_again(rig: Rig) -> None:
    rig.give(1, body())
    rig.run()
    rig.give(1, body(), incarnation=2)
    (report,) = rig.run(after=30)
    assert (report.incarnation, report.cause, outcomes(report)) == (2, "Interval", ["Unchanged"])


# Reboots


def test_a_reboot_is_asked_for_and_told_of_only_when_the_run_has_ended(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def machine() -> None:
        """The tree is taken for a machine of its own."""
        host = rig.rounds._bench.host
        monkeypatch.setattr(host, "sandbox", False)
        monkeypatch.setattr(host, "privileged", True)
        monkeypatch.setattr(host, "reboot", lambda: asked.append(rig.boot))

    machine()
    text = f"[ -e {tmp_path}/rebooted ] && exit 0; touch {tmp_path}/rebooted; exit 194"
    rig.give(1, script(text, uid="Association/a"), body(uid="Association/z"))
    assert rig.run() == []
    assert asked == ["boot-1"]
    assert not rig.file().exists()
    assert status.read(rig.state, "results.json")["Association/a"]["status"] == "Rebooting"
    assert 0 < rig.rounds.wait() <= 300
    assert rig.run(after=299) == []
    assert asked == ["boot-1"]
    assert causes(rig.run(after=30)) == [
        ("z", "Assigned", "Success")
    ]  # it did not come: all goes on, and it asks again
    assert asked == ["boot-1", "boot-1"]
    rig.restart("boot-2")
    machine()
    told = rig.run()
    assert causes(told) == [("a", "Assigned", "Success")]
    assert len(asked) == 2
