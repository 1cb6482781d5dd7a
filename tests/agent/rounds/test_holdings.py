"""What a node holds, as its rounds find it on disk: bad, lost, swept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from agent.contract import wire
from agent.contract.canonical import digest
from tests.agent.rig import Rig, body, causes


def test_bad_ones_do_not_stop_good_ones(rig: Rig) -> None:
    other = body("Association/z", path="/etc/z", must_understand=["onRemove"])
    wrong = dataclasses.replace(body("Association/a"), steps=[wire.BodyStep("x", "ops:spell", 1, {})])
    later = body("Association/b", must_understand=["quorum"])
    made = rig.give(1, wrong, later, other)
    swapped = dict(made.assignments)
    swapped["Association/c"] = made.assignments["Association/z"]
    rig.give(2, assignments=swapped)
    reports = rig.run()
    assert causes(reports) == [
        ("a", "Assigned", "Failed"),
        ("b", "Assigned", "Failed"),
        ("c", "Assigned", "Failed"),
        ("z", "Assigned", "Success"),
    ]
    reasons = [report.reason or "" for report in reports]
    assert "ops:spell" in reasons[0]
    assert "Unsupported: this agent does not understand quorum" in reasons[1]
    assert reasons[2] == "its body is that of Association/z"
    assert rig.run(after=30) == []


def test_lost_bytes_are_told_and_used_again_once_they_are_back(rig: Rig) -> None:
    source = b"from a file\n"
    filed = body(files={"files/motd": wire.FileRef(digest(source), len(source))})
    filed.steps[0].inputs.clear()
    filed.steps[0].inputs.update(path="/etc/motd", source="files/motd")
    rig.give(1, filed)
    (report,) = rig.run()
    assert report.status == "Failed"
    assert rig.lost == 1
    rig.put(source)
    (report,) = rig.run(after=30)
    assert (report.status, rig.file().read_bytes()) == ("Success", source)


def test_a_body_that_is_lost_is_told_and_used_again_once_it_is_back(rig: Rig) -> None:
    made = rig.give(1, body())
    Path(rig.state, "held", "objects", made.assignments["Association/motd"].body_digest[7:]).unlink()
    (report,) = rig.run()
    assert "is not on this node" in (report.reason or "")
    rig.put(body())
    (report,) = rig.run(after=30)
    assert (report.cause, report.status) == ("Assigned", "Success")


def test_what_nothing_refers_to_is_swept(rig: Rig) -> None:
    objects = Path(rig.state, "held", "objects")
    rig.give(1, body(text="one\n"))
    rig.run()
    before = {path.name for path in objects.iterdir()}
    rig.give(2, body(text="two\n"), generation=2)
    rig.run()
    after = {path.name for path in objects.iterdir()}
    assert len(before) == len(after) == 2
    assert before != after
    rig.give(3)
    rig.run()
    rig.give(4)
    rig.run()
    assert len(list(objects.iterdir())) == 1
