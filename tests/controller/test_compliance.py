"""What came of it, written back to Git: what changed, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.controller import compliance
from tests.controller.house import MANUAL, ROOT, House, Machine, small
from tests.engine.repository import DOCUMENT, association, node

BASE = "Association/base"
CHANGED = DOCUMENT.replace("hello", "changed")
ALL = '"100%"'


@pytest.fixture
def house() -> House:
    """Two compliant nodes, and the page that says so."""
    house = House(small("web-1", "db-1"))
    house.join("web-1", "db-1")
    house.settle(2)
    house.tick(300)
    return house


def path(machine: Machine, name: str = "") -> str:
    return f"nodes/{machine.id[-2:]}/{name or machine.name}.yaml"


def test_the_first_page(house: House) -> None:
    pages = house.pages()
    assert pages.keys() == {path(house["web-1"]), path(house["db-1"]), "summary.yaml", "README.md"}
    assert "**2 of 2 nodes compliant**" in pages["README.md"]
    assert "compliance: COMPLIANT" in pages[path(house["web-1"])]
    assert house.page_log()[0] == "2 nodes compliant with base; 2/2 compliant [skip ci]"


def test_there_is_one_before_anybody_reported() -> None:
    house = House(small("web-1", "db-1"))
    house.enrol("web-1")
    house.tick(301)
    assert house.pages().keys() == {"summary.yaml", "README.md"}
    assert "total: 2" in house.pages()["summary.yaml"], "the one that is only declared is not compliant either"


def test_and_none_before_anything_is_in_force() -> None:
    house = House(small("web-1", fleet=MANUAL))
    house.join("web-1")
    house.tick(301)
    assert house.pages() == {}


def test_no_change_makes_no_commit(house: House) -> None:
    before = house.page_log()
    for machine in house.machines.values():
        machine.say(BASE)
    house.tick(301)
    assert house.page_log() == before
    house.restart()
    house.tick(301)
    assert house.page_log() == before, "nor does a start, which looks at every page again"


def test_a_transition_makes_one(house: House) -> None:
    before = house.page_log()
    house["web-1"].fails = {BASE}
    house["web-1"].work()
    house.tick(280)
    assert house.page_log() == before, "at most one in the interval"
    house.tick(20)
    assert house.page_log() == ["web-1 is not compliant with base; 1/2 compliant [skip ci]", *before]
    assert "| web-1 | base | NON_COMPLIANT |" in house.pages()["README.md"]


def test_what_is_told_once_is_not_told_again(house: House) -> None:
    house["web-1"].fails = {BASE}
    house["web-1"].work()
    house.tick(301)
    house["db-1"].drifts = {BASE}
    house["db-1"].work()
    house.tick(301)
    front = house.pages()["README.md"]
    changed = front[front.index("What changed") : front.index("Where to look")]
    assert "db-1" in changed
    assert "web-1" not in changed


def test_a_node_that_lost_everything_has_a_page_that_says_so(house: House) -> None:
    house.push({"associations/base.yaml": association("base", targets="web-1", maxConcurrency=ALL, maxErrors=ALL)})
    house.tick(61)
    house.apply(removals=1)
    house.settle(2)
    house.tick(301)
    assert "associations: {}" in house.pages()[path(house["db-1"])]
    assert BASE in house.pages()[path(house["web-1"])]


def test_a_retired_node_has_none(house: House) -> None:
    gone = path(house["web-1"])
    house.service.retire(ROOT, "web-1")
    house.tick(301)
    assert gone not in house.pages()
    assert path(house["db-1"]) in house.pages()
    assert "total: 2" in house.pages()["summary.yaml"], "web-1 is declared still"


def test_nor_after_a_crash_in_between(house: House) -> None:
    gone = path(house["web-1"])
    house.service.retire(ROOT, "web-1")
    house.restart()
    house.tick(301)
    assert gone not in house.pages()


def test_another_machine_of_its_name_has_one_of_its_own(house: House) -> None:
    gone = path(house["web-1"])
    house.service.retire(ROOT, "web-1")
    house.tick()
    (new,) = house.join("web-1")
    house.settle(2)
    house.tick(301)
    pages = house.pages()
    assert f"id: {new.id}" in pages[path(new)]
    assert len([page for page in pages if page.endswith("/web-1.yaml")]) == 1
    assert gone not in pages or gone == path(new)


def test_a_renamed_node_has_its_page_under_its_new_name(house: House) -> None:
    web = house["web-1"]
    renamed = node("web-9").replace("name: web-9", "name: web-9, renamedFrom: web-1")
    house.push({"nodes/web-1.yaml": None, "nodes/web-9.yaml": renamed})
    house.settle(70)
    house.tick(301)
    pages = house.pages()
    assert path(web) not in pages
    assert 'node: "web-9"' in pages[path(web, "web-9")]


def test_another_severity_is_another_page(house: House) -> None:
    assert "severity: UNSPECIFIED" in house.pages()[path(house["web-1"])]
    severe = association("base", maxConcurrency=ALL, maxErrors=ALL, complianceSeverity="CRITICAL")
    house.push({"associations/base.yaml": severe})
    house.tick(61)
    house.tick(301)
    assert "severity: CRITICAL" in house.pages()[path(house["web-1"])]


def test_what_could_not_be_written_is_written_later(house: House) -> None:
    house.remote.down = "no route"
    house["web-1"].fails = {BASE}
    house["web-1"].work()
    house.tick(601)
    assert [problem for problem in house.status()["problems"] if "no route" in problem] == [
        "unavailable: Git remote in memory: no route"
    ], "it is said once"
    house.remote.down = ""
    house.tick(301)
    assert "compliance: NON_COMPLIANT" in house.pages()[path(house["web-1"])]
    assert "web-1 is not compliant with base" in house.page_log()[0]
    assert house.status()["problems"] == []


def test_what_a_crash_kept_from_being_written_is(house: House) -> None:
    house["web-1"].fails = {BASE}
    house["web-1"].work()
    house.restart()
    house.tick(301)
    assert "compliance: NON_COMPLIANT" in house.pages()[path(house["web-1"])]
    assert "web-1 is not compliant with base" in house.page_log()[0]


def test_two_writers_are_one_too_many(house: House) -> None:
    house.remote.commit("compliance", {"README.md": b"mine"}, "Theirs\n\nOpsctl-Instance: another one\n")
    house["web-1"].fails = {BASE}
    house["web-1"].work()
    house.tick(301)
    (problem,) = house.status()["problems"]
    assert "last written by the instance 'another one'" in problem
    assert house.pages()["README.md"] == "mine"
    house.remote.commit("compliance", {"README.md": b"by hand"}, "Take over\n")
    house.tick(301)
    assert house.status()["problems"] == []
    assert "web-1" in house.pages()["README.md"]


def test_a_commit_has_bounded_work(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compliance, "PAGES_AT_ONCE", 1)
    before = house.page_log()
    for machine in house.machines.values():
        machine.fails = {BASE}
        machine.work()
    house.tick(301)
    assert len(house.page_log()) == len(before) + 1
    words = sorted(text.splitlines()[2] for name, text in house.pages().items() if name.startswith("nodes/"))
    assert words == ["compliance: COMPLIANT", "compliance: NON_COMPLIANT"]
    house.tick(301)
    words = sorted(text.splitlines()[2] for name, text in house.pages().items() if name.startswith("nodes/"))
    assert words == ["compliance: NON_COMPLIANT", "compliance: NON_COMPLIANT"]


def test_the_clock_may_be_set_back(house: House) -> None:
    house.timer.set_clock(-86_400)
    house["web-1"].fails = {BASE}
    house["web-1"].work()
    house.tick(301)
    assert "compliance: NON_COMPLIANT" in house.pages()[path(house["web-1"])]
    assert "web-1 is not compliant with base" in house.page_log()[0]


def test_a_run_under_way_is_not_overtaken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[Any] = []
    writer = house.controller._compliance
    house["web-1"].fails = {BASE}
    house["web-1"].work()
    right = house.branch.write

    def write(*args: Any, **named: Any) -> str | None:
        inside.append(writer.write())
        return right(*args, **named)

    monkeypatch.setattr(house.branch, "write", write)
    assert writer.write() is not None
    assert inside == [None]
