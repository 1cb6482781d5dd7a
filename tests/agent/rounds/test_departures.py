"""What leaves a node: taken away or kept, and told for the last time."""

from __future__ import annotations

import pytest

from agent.rounds import departures
from agent.state import status
from tests.agent.rig import Rig, body, causes


@pytest.mark.parametrize(("on_remove", "stays"), [("Retain", True), ("Prune", False)])
def test_what_leaves_is_taken_away_or_kept_and_told_for_the_last_time(rig: Rig, on_remove: str, stays: bool) -> None:
    rig.give(1, body(on_remove=on_remove))
    rig.run()
    rig.give(2)
    (report,) = rig.run()
    assert (report.cause, report.generation, report.status) == ("Removed", 1, "Success")
    assert rig.file().exists() is stays
    desired = rig.assignments.desired()
    assert desired is not None
    assert desired.removing == {}
    assert rig.run(after=30) == []
    assert status.read(rig.state, "results.json") == {}


def test_a_crash_before_the_last_report_takes_away_again(rig: Rig) -> None:
    rig.give(1, body(on_remove="Prune"))
    rig.run()
    rig.give(2)
    rig.restart()
    assert not rig.rounds.statuses
    assert causes(rig.run()) == [("motd", "Removed", "Success")]
    assert not rig.file().exists()


def test_what_moves_to_another_association_stays_on_the_node(rig: Rig) -> None:
    rig.give(1, body(on_remove="Prune"))
    rig.run()
    rig.give(2, body("Association/successor", on_remove="Prune"))
    assert causes(rig.run()) == [("motd", "Removed", "Success"), ("successor", "Assigned", "Success")]
    assert rig.file().read_text() == "hello\n"


def test_what_cannot_be_taken_away_is_tried_again_then_let_go(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.give(1, body(on_remove="Prune"))
    rig.run()
    rig.give(2)
    monkeypatch.setattr("agent.rounds.departures.withdraw", lambda *_: 1 / 0)
    for _ in range(departures.TRIES - 1):
        assert rig.run() == []
        assert rig.rounds.wait() > 0
        assert rig.run(after=29) == []
        rig.clock.seconds += 1
    (report,) = rig.run()
    assert (report.cause, report.status) == ("Removed", "Failed")
    assert "ZeroDivisionError" in (report.reason or "")


def test_a_return_at_the_same_generation_is_assigned_again(rig: Rig) -> None:
    rig.give(1, body(on_remove="Prune"))
    rig.run()
    rig.give(2)
    rig.run()
    rig.give(3, body(on_remove="Prune"))
    assert causes(rig.run()) == [("motd", "Assigned", "Success")]
    assert rig.file().exists()


def test_retirement_empties_the_node(rig: Rig) -> None:
    rig.give(1, body(on_remove="Prune"), body("Association/other", path="/etc/other"))
    rig.run()
    rig.give(2, body(), retire=True)
    assert causes(rig.run()) == [("motd", "Removed", "Success"), ("other", "Removed", "Success")]
    assert not rig.file().exists()
    assert rig.file("etc/other").exists()
    assert rig.run(after=30) == []
