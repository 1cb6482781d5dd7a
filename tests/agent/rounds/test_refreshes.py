"""Associations that are refreshed: looked at now, their scripts run again where no permit is needed for that."""

from __future__ import annotations

import pytest

from agent.contract import wire
from agent.steps.step import StepFailed
from tests.agent.rig import Rig, body, counting, script
from tests.agent.state.test_leave import permit


def test_a_refresh_looks_now_and_runs_scripts_once_more(rig: Rig) -> None:
    rig.give(1, body(), counting())
    rig.run()
    rig.file().write_text("by hand\n")
    assert rig.run(after=1) == []
    assert rig.refreshes.ask([]) == [
        "motd: looked at now, and its scripts are run",
        "script: looked at now, and its scripts are run",
    ]
    assert rig.refreshes.pending()
    rig.run(after=1)
    assert (rig.file().read_text(), rig.runs()) == ("hello\n", 2)
    rig.run(after=1)
    rig.run(after=60)
    assert rig.runs() == 2
    assert not rig.refreshes.pending()


def test_only_those_that_are_named(rig: Rig) -> None:
    rig.give(1, body(), counting(), script("echo x >> $OPSCTL_ROOT/other", uid="Association/other"))
    rig.run()
    assert len(rig.refreshes.ask(["script"])) == 1
    rig.run(after=1)
    assert (rig.runs(), (rig.root / "other").read_text()) == (2, "x\n")
    rig.refreshes.ask(["Association/other"])
    rig.run(after=1)
    assert (rig.runs(), (rig.root / "other").read_text()) == (2, "x\nx\n")


def test_what_the_node_has_not_is_said(rig: Rig) -> None:
    assert rig.refreshes.ask([]) == ["this node has no associations"]
    with pytest.raises(StepFailed, match="no association web; it has none at all"):
        rig.refreshes.ask(["web"])
    rig.give(1, body())
    with pytest.raises(StepFailed, match="no association web; it has motd"):
        rig.refreshes.ask(["motd", "web"])
    assert not rig.refreshes.pending()


def test_whoever_asks_stands_for_the_permit_of_the_run_and_not_of_the_generation(rig: Rig) -> None:
    rig.give(1, counting(), assignment={"permit": "required"})
    rig.run()
    assert rig.refreshes.ask([]) == ["script: looked at now, and its first run here waits for a permit"]
    rig.run(after=1)
    assert rig.runs() == 0
    permit(rig)
    rig.run(after=1)
    assert rig.runs() == 1
    assert rig.refreshes.ask([]) == ["script: looked at now, and its scripts are run"]
    rig.run(after=1)
    rig.run(after=60)
    assert rig.runs() == 2


def test_where_nothing_may_be_changed_nothing_is_run(rig: Rig) -> None:
    rig.give(1, counting())
    rig.run()
    rig.give(2, counting(), assignment={"allowed": [wire.Interval(None, "2020-01-01T00:00:00.000Z")]})
    rig.refreshes.ask([])
    rig.run(after=1)
    assert rig.runs() == 1
