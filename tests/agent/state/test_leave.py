"""What the agent may do alone: holds, permits, the heal budget, places in a splay; and what restarts do not change."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from agent import overview
from agent.contract import leave, sshsig, wire
from agent.contract.canonical import canonical, instant
from agent.contract.codec import to_wire
from agent.rounds import agenda
from agent.state.holds import HoldRefused
from tests.agent.pki import ControllerKey
from tests.agent.rig import BEGINNING, FLEET, NODE, Rig, body, counting, outcomes

HOUR = 3_600_000
SCRIPT = "Association/script"


def envelope(serial: int = 1, **changes: Any) -> leave.Envelope:
    made = leave.Envelope(1, FLEET, NODE, 1, serial, "2026-03-01T00:00:00.000Z", 60)
    return dataclasses.replace(made, **changes)


def hold(rig: Rig, serial: int, *, until: str | None = None, key: ControllerKey | None = None, **changes: Any) -> bool:
    made = dataclasses.replace(leave.Hold(envelope(serial), "the year ends", until), **changes)
    return rig.node.leave.holds.take((key or rig.controller).sign(sshsig.HOLD, canonical(to_wire(made))))


def permit(rig: Rig, run_instant: str = "", generation: int = 1, uid: str = SCRIPT) -> None:
    rig.node.leave.permits.granted(leave.Permit(envelope(), uid, generation, run_instant), rig.clock.elapsed())


class TestHolds:
    def test_a_hold_turns_healing_into_monitoring_until_its_end_by_this_clock(self, rig: Rig) -> None:
        rig.give(1, body())
        rig.run()
        assert hold(rig, 1, until=instant(rig.clock.now() + HOUR))
        rig.file().write_text("by hand\n")
        (report,) = rig.run(after=30)
        assert (report.status, outcomes(report)) == ("Success", ["Drifted"])
        assert report.reason == f"frozen until {instant(BEGINNING + 1000_000 + HOUR)} because the year ends"
        assert rig.run(after=3500) == []
        assert rig.file().read_text() == "by hand\n"
        assert 0 < rig.rounds.wait() <= 30
        (report,) = rig.run(after=70)
        assert (report.cause, outcomes(report)) == ("Interval", ["Changed"])

    def test_it_is_obeyed_after_a_restart_and_lifted_by_a_newer_one_only(self, rig: Rig) -> None:
        rig.give(1, body())
        rig.run()
        hold(rig, 3)
        rig.file().write_text("by hand\n")
        rig.restart()
        assert [outcomes(report) for report in rig.run()] == [["Drifted"]]
        assert not hold(rig, 2, lifted=True)
        assert not hold(rig, 3, lifted=True)
        rig.run(after=30)
        assert rig.file().read_text() == "by hand\n"
        assert hold(rig, 4, lifted=True)
        (report,) = rig.run(after=30)
        assert outcomes(report) == ["Changed"]
        rig.restart()
        assert rig.run() == []

    def test_a_new_store_begins_its_holds_anew(self, rig: Rig) -> None:
        hold(rig, 9)
        lifted = leave.Hold(envelope(1, incarnation=2), "", lifted=True)
        assert rig.node.leave.holds.take(rig.controller.sign(sshsig.HOLD, canonical(to_wire(lifted))))
        assert rig.node.leave.holds.in_force(rig.clock.now()) is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"envelope": envelope(node_id="mi-another")},
            {"envelope": envelope(fleet_id="another")},
            {"envelope": envelope(must_understand=["quorum"])},
            {"until": "tomorrow"},
        ],
    )
    def test_what_is_not_for_this_node_or_not_a_hold_is_refused(self, rig: Rig, changes: dict[str, Any]) -> None:
        with pytest.raises(HoldRefused):
            hold(rig, 1, **changes)
        assert rig.node.leave.holds.in_force(rig.clock.now()) is None

    def test_another_key_or_another_namespace_holds_nothing(self, rig: Rig) -> None:
        with pytest.raises(sshsig.BadSignature):
            hold(rig, 1, key=ControllerKey())
        made = canonical(to_wire(leave.Hold(envelope(), "because")))
        with pytest.raises(sshsig.BadSignature):
            rig.node.leave.holds.take(rig.controller.sign(sshsig.JOB, made))

    def test_nothing_is_taken_away_while_it_lasts(self, rig: Rig) -> None:
        rig.give(1, body(on_remove="Prune"))
        rig.run()
        hold(rig, 1, until=instant(rig.clock.now() + HOUR))
        rig.give(2)
        assert rig.run() == []
        assert rig.run(after=60) == []
        assert rig.file().exists()
        (report,) = rig.run(after=3600)
        assert report.cause == "Removed"
        assert not rig.file().exists()

    def test_what_was_applied_once_is_not_applied_anew_after_it(self, rig: Rig) -> None:
        rig.give(1, body(mode="ApplyAndMonitor"))
        rig.run()
        hold(rig, 1)
        rig.file().write_text("by hand\n")
        rig.run(after=30)
        hold(rig, 2, lifted=True)
        assert rig.run(after=30) == []
        assert rig.file().read_text() == "by hand\n"

    def test_scripts_of_a_schedule_wait_for_its_end_and_are_made_up_for_once(self, rig: Rig) -> None:
        rig.clock.seconds = 0.0
        rig.give(1, counting(schedule="rate(1 hour)"))
        rig.run()
        hold(rig, 1, until=instant(rig.clock.now() + 3 * HOUR + 1000))
        rig.run(after=2 * 3600)
        rig.run(after=3600)
        assert rig.runs() == 1
        rig.run(after=2)
        assert rig.runs() == 2
        rig.run(after=30)
        assert rig.runs() == 2

    def test_status_says_it_without_the_agent(self, rig: Rig) -> None:
        rig.give(1, body())
        assert "frozen" not in overview.as_text(overview.overview(rig.state))
        hold(rig, 1, until="2099-01-01T00:00:00.000Z")
        said = "frozen until 2099-01-01T00:00:00.000Z because the year ends"
        assert said in overview.as_text(overview.overview(rig.state))
        hold(rig, 2, lifted=True)
        assert overview.overview(rig.state)["frozen"] == ""

    def test_a_disk_that_takes_no_more_keeps_nobody_from_obeying(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("agent.durable.replace", full)
        assert hold(rig, 1)
        assert rig.node.leave.holds.in_force(rig.clock.now()) is not None


class TestPermits:
    def waiting(self, rig: Rig, **changes: Any) -> None:
        rig.clock.seconds = 0.0
        rig.give(1, counting(schedule="rate(1 hour)", **changes), assignment={"permit": "required"})

    def test_without_an_answer_nothing_is_run_and_nothing_is_said(self, rig: Rig) -> None:
        self.waiting(rig)
        assert rig.run() == []
        assert rig.node.leave.permits.wanted() == [leave.Ask(SCRIPT, 1, "")]
        assert rig.run(after=7200) == []
        assert rig.runs() == 0
        assert rig.rounds.wait() > 0

    def test_a_permit_lets_one_run_begin_and_its_report_returns_it(self, rig: Rig) -> None:
        self.waiting(rig)
        rig.run()
        permit(rig)
        (report,) = rig.run()
        assert (report.cause, report.status, report.run_instant, rig.runs()) == ("Assigned", "Success", "", 1)
        assert rig.run(after=3599) == []
        assert rig.run(after=1) == []
        at = "2026-03-01T01:00:00.000Z"
        assert rig.node.leave.permits.wanted() == [leave.Ask(SCRIPT, 1, at)]
        permit(rig, "2026-03-01T02:00:00.000Z")
        assert rig.run() == []
        permit(rig, at)
        (report,) = rig.run()
        assert (report.cause, report.run_instant, rig.runs()) == ("Schedule", at, 2)
        assert rig.node.leave.permits.wanted() == []
        rig.restart()
        assert rig.run() == []
        assert rig.runs() == 2

    def test_a_permit_that_is_not_used_in_time_is_asked_for_again(self, rig: Rig) -> None:
        self.waiting(rig)
        rig.run()
        permit(rig)
        assert rig.run(after=61) == []
        assert rig.runs() == 0
        assert rig.node.leave.permits.wanted() == [leave.Ask(SCRIPT, 1, "")]

    def test_a_permit_nobody_asked_for_is_worth_nothing(self, rig: Rig) -> None:
        self.waiting(rig)
        permit(rig)
        assert rig.run() == []
        assert rig.runs() == 0

    def test_whoever_starts_again_asks_again(self, rig: Rig) -> None:
        self.waiting(rig)
        rig.run()
        permit(rig)
        rig.restart()
        assert rig.run() == []
        assert rig.node.leave.permits.wanted() == [leave.Ask(SCRIPT, 1, "")]
        permit(rig)
        assert [report.run_instant for report in rig.run()] == [""]

    def test_a_crash_after_the_run_still_returns_the_permit(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting(rig)
        rig.run()
        permit(rig)
        monkeypatch.setattr(
            rig.rounds._telling, "tell", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt), raising=True
        )
        with pytest.raises(KeyboardInterrupt):
            rig.run()
        assert rig.runs() == 1
        rig.restart()
        (report,) = rig.run()
        assert (report.run_instant, rig.runs()) == ("", 1)
        rig.restart()
        assert rig.run() == []

    def test_what_is_held_heals_between_runs_without_asking(self, rig: Rig) -> None:
        rig.clock.seconds = 0.0
        both = dataclasses.replace(
            counting(schedule="rate(1 hour)"), steps=[*body().steps, *counting().steps], uid=SCRIPT
        )
        rig.give(1, both, assignment={"permit": "required"})
        rig.run()
        permit(rig)
        rig.run()
        rig.file().write_text("by hand\n")
        (report,) = rig.run(after=30)
        assert (outcomes(report), report.run_instant) == (["Changed", "Unchanged"], None)
        rig.run(after=3600)
        rig.file().write_text("by hand\n")
        (report,) = rig.run(after=30)
        assert (outcomes(report), rig.runs()) == (["Changed", "Unchanged"], 1)

    def test_a_run_that_is_not_made_is_told_until_the_next(self, rig: Rig) -> None:
        self.waiting(rig)
        rig.run()
        permit(rig)
        rig.run()
        rig.run(after=3600)
        at = "2026-03-01T01:00:00.000Z"
        why = "maxErrors: failed on 3 of 20 nodes, maxErrors allows 2"
        rig.node.leave.permits.postponed(leave.Postponed(SCRIPT, 1, at, why, over=True))
        (report,) = rig.run()
        assert (report.status, report.cause, report.run_instant) == ("Cancelled", "Schedule", None)
        assert report.reason == f"not run at {at}: {why}"
        assert rig.run(after=30) == []
        rig.restart()
        assert rig.run() == []
        assert rig.runs() == 1
        rig.run(after=3600)
        permit(rig, "2026-03-01T02:00:00.000Z")
        (report,) = rig.run()
        assert (report.status, report.reason, rig.runs()) == ("Success", None, 2)

    def test_who_was_away_asks_for_the_last_instant_only(self, rig: Rig) -> None:
        self.waiting(rig)
        rig.run()
        permit(rig)
        rig.run()
        rig.run(after=5 * 3600 + 7)
        assert rig.node.leave.permits.wanted() == [leave.Ask(SCRIPT, 1, "2026-03-01T05:00:00.000Z")]

    def test_nothing_is_asked_for_what_left_or_while_it_is_held(self, rig: Rig) -> None:
        self.waiting(rig)
        hold(rig, 1)
        rig.run()
        assert rig.node.leave.permits.wanted() == []
        hold(rig, 2, lifted=True)
        rig.run(after=30)
        assert rig.node.leave.permits.wanted() == [leave.Ask(SCRIPT, 1, "")]
        rig.give(2)
        rig.run()
        assert rig.node.leave.permits.wanted() == []


class TestHeals:
    def test_beyond_the_budget_it_monitors_and_says_why(self, rig: Rig) -> None:
        rig.give(1, body(), body("Association/other", path="/etc/other"), assignment={"heals": 2})
        rig.run()
        for _ in range(2):
            rig.file().write_text("by hand\n")
            assert [outcomes(report) for report in rig.run(after=30)] == [["Changed"]]
        rig.file().write_text("by hand\n")
        rig.file("etc/other").write_text("by hand\n")
        motd, other = rig.run(after=30)
        assert (outcomes(motd), motd.status) == (["Drifted"], "Success")
        assert motd.reason == "the heal budget of 2 an hour is used up: the node only monitors"
        assert outcomes(other) == ["Changed"]
        assert rig.run(after=600) == []
        assert [outcomes(report) for report in rig.run(after=3600)] == [["Changed"]]

    def test_what_is_new_needs_no_budget(self, rig: Rig) -> None:
        rig.give(1, body(), assignment={"heals": 0})
        assert [outcomes(report) for report in rig.run()] == [["Changed"]]
        rig.give(2, body(text="two\n"), generation=2, assignment={"heals": 0})
        assert [outcomes(report) for report in rig.run()] == [["Changed"]]
        rig.file().write_text("by hand\n")
        assert [outcomes(report) for report in rig.run(after=30)] == [["Drifted"]]


def test_each_node_runs_at_its_own_place_in_the_splay(rig: Rig) -> None:
    rig.clock.seconds = 0.0
    rig.give(1, counting(schedule="rate(1 hour)"), assignment={"splay": 60}, interval=7200)
    rig.run()
    place = agenda.place(NODE, SCRIPT) * 60
    assert 1 < place < 59
    assert rig.run(after=3600 + place - 0.5) == []
    assert 0 < rig.rounds.wait() <= 0.5
    (report,) = rig.run(after=1)
    assert (report.cause, rig.runs()) == ("Schedule", 2)
    assert rig.run(after=3599) == []
    assert [report.cause for report in rig.run(after=1)] == ["Schedule"]


def test_after_the_last_allowed_interval_it_only_monitors(rig: Rig) -> None:
    horizon = [wire.Interval(not_after=instant(rig.clock.now() + HOUR))]
    rig.give(1, body(), assignment={"allowed": horizon})
    rig.run()
    rig.file().write_text("by hand\n")
    (report,) = rig.run(after=3600)
    assert (outcomes(report), report.reason) == (["Drifted"], "no change is allowed now: the node only monitors")
