"""What `status` says without the agent and without a server."""

from __future__ import annotations

import time

import pytest

from agent import overview
from agent.contract import wire
from agent.contract.canonical import digest, instant, milliseconds
from agent.rounds import agenda
from tests.agent.jobs import job_id, signed_end, signed_job
from tests.agent.rig import NODE, Rig, body, script

HOUR = 3600 * 1000


def test_what_is_held_what_came_of_it_and_what_comes_next(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.give(1, body(), script("true", schedule="rate(1 hour)"), body("Association/bad", path="/no/dir"), interval=1800)
    rig.run()
    found = overview.overview(rig.state)
    assert found["pendingReports"] == 3
    assert found["process"] is not None
    motd, run, bad = (found["assignments"][f"Association/{name}"] for name in ("motd", "script", "bad"))
    assert (motd["status"], run["status"], bad["status"]) == ("Success", "Success", "Failed")
    assert motd["nextRun"] is None
    assert milliseconds(run["nextRun"]) % HOUR == 0
    assert milliseconds(motd["nextLook"]) > 0
    monkeypatch.setattr(time, "time", lambda: (milliseconds(run["nextRun"]) - 120_000) / 1000)
    text = overview.as_text(found, 100)
    assert "reports  3 to be sent when the server is there" in text
    table = text.split("\n\n")[1].splitlines()
    assert table[0].split() == ["ASSOCIATION", "GEN", "STATUS", "TOLD", "LOOK", "RUN"]
    assert table[1].startswith("Association/bad")
    assert "its directory /no does not exist" in table[2]
    assert table[-1].endswith("in 2 min")
    for pending in rig.journal.pending():
        rig.journal.acknowledged(pending.seq)
    assert overview.overview(rig.state)["pendingReports"] == 0


def test_jobs_that_are_open_and_how_far_each_is(rig: Rig) -> None:
    for number in (1, 2, 3):
        rig.node.jobs.take(signed_job(rig.controller, digest(b"a body"), number))
    rig.node.jobs.revoke(signed_end(rig.controller, 2))
    rig.node.jobs.reported(job_id(3), 7)
    found = overview.overview(rig.state)
    assert [(job, said["state"]) for job, said in found["jobs"].items()] == [
        (job_id(1), "Taken"),
        (job_id(2), "Ending"),
        (job_id(3), "Told"),
    ]
    assert f"jobs     {job_id(1)} (taken)\n         {job_id(2)} (ending)" in overview.as_text(found, 100)
    rig.node.jobs.delivered(job_id(3))
    assert list(overview.overview(rig.state)["jobs"]) == [job_id(1), job_id(2)]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_table_fits_the_terminal(rig: Rig, columns: int) -> None:
    rig.give(1, body("Association/" + "long-" * 30), body("Association/bad", path="/no/" + "dir/" * 60 + "file"))
    rig.run()
    table = overview.as_text(overview.overview(rig.state), columns).split("\n\n")[1]
    assert all(len(line) <= columns for line in table.splitlines())
    assert "..." in table


def test_what_no_agent_looks_at_has_no_next_look(rig: Rig) -> None:
    rig.give(1, body())
    found = overview.overview(rig.state)
    found["process"] = None
    line = overview.as_text(found, 100).splitlines()[-1]
    assert "not looked at yet" in line
    assert line.endswith("-")


def test_a_look_is_foretold_as_the_agenda_has_it() -> None:
    made = agenda.Agenda(NODE)
    given = wire.Assignment(1, "sha256:00", "none")
    for interval in (30, 1800):
        made.adopt({"Association/a": given}, "sha256:00", interval, 5000.0)
        made.looked("Association/a", 5000.0)
        assert made.next_look() == agenda.next_look(NODE, "Association/a", interval, 5000.0)


@pytest.mark.parametrize(
    ("at", "said"),
    [(0, "0 s ago"), (90, "in 1 min"), (-59, "59 s ago"), (7300, "in 2 h"), (-200_000, "2 d ago")],
)
def test_how_far_away(at: int, said: str) -> None:
    now = 1_800_000_000_000
    assert overview._away(instant(now + at * 1000), now) == said
    assert overview._away(None, now) == ""
