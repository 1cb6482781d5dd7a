"""A saved plan binds what it says; and an apply tells how far it has come."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reconciler.core.problem import Invalid, Refused
from tests.controller.house import MANUAL, ROOT, House, small
from tests.engine.repository import DOCUMENT, association, node

BASE = "Association/base"
CHANGED = DOCUMENT.replace("hello", "changed")


@pytest.fixture
def house() -> House:
    """Two nodes at the first commit, under manual; the second is there to be planned."""
    house = House(small("web-1", "db-1", fleet=MANUAL))
    house.join("web-1", "db-1")
    house.apply()
    house.settle(3)
    house.push({"documents/motd.yaml": CHANGED})
    house.settle(70)
    return house


def saved(house: House) -> dict[str, Any]:
    return copy.deepcopy(house.service.plan(ROOT, None, None))


def test_what_was_agreed_to_is_done(house: House) -> None:
    plan = saved(house)
    assert [change["action"] for change in plan["changes"]] == ["Assign"]
    started = house.apply(saved=plan)
    assert started["dropped"] == []
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {2}


def test_a_plan_names_its_own_commit(house: House) -> None:
    plan = saved(house)
    house.push({"documents/motd.yaml": DOCUMENT.replace("hello", "newer")})
    assert house.apply(saved=plan)["commit"] == plan["commit"]


def test_a_node_that_joined_meanwhile_was_not_agreed_to(house: House) -> None:
    plan = saved(house)
    house.join("late")
    with pytest.raises(Refused, match=r"it does not name: Assign Association/base on late.*plan again"):
        house.apply(saved=plan)
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {1}


def test_what_is_needed_no_more_is_dropped_and_listed(house: House) -> None:
    plan = saved(house)
    house.service.retire(ROOT, "db-1")
    assert house.apply(saved=plan)["dropped"] == [f"Assign {BASE} on db-1"]


def test_another_base_was_not_agreed_to(house: House) -> None:
    plan = saved(house)
    house.push({"nodes/web-1.yaml": node("web-1", "{New: label}")})
    house.apply()
    house.settle(3)
    with pytest.raises(Refused, match="the fleet went from"):
        house.apply(saved=plan)


def test_labels_are_agreed_to_as_well(house: House) -> None:
    house.push({"nodes/web-1.yaml": node("web-1", "{New: label}")})
    plan = saved(house)
    (described,) = [change for change in plan["changes"] if change["action"] == "Describe"]
    assert list(described["nodes"].values()) == ["web-1"]
    without = {**plan, "changes": [change for change in plan["changes"] if change["action"] != "Describe"]}
    with pytest.raises(Refused, match="it does not name: new labels or vars of web-1"):
        house.apply(saved=without)
    assert house.apply(saved=plan)["dropped"] == []


def test_other_labels_than_those_agreed_to_are_refused(house: House) -> None:
    house.push({"nodes/web-1.yaml": node("web-1", "{New: label}")})
    plan = saved(house)
    house.push({"nodes/web-1.yaml": node("web-1", "{New: other}")})
    other = saved(house)
    mixed = {**plan, "commit": other["commit"]}
    with pytest.raises(Refused, match="new labels or vars of web-1"):
        house.apply(saved=mixed)


def test_removals_are_agreed_to_as_well(house: House) -> None:
    house.push({"associations/base.yaml": association("base", targets="web-1", maxConcurrency='"100%"')})
    plan = saved(house)
    assert {change["action"] for change in plan["changes"]} == {"Assign", "Remove"}
    without = {**plan, "changes": [change for change in plan["changes"] if change["action"] != "Remove"]}
    with pytest.raises(Refused, match="it does not name: Remove Association/base on db-1"):
        house.apply(saved=without, removals=1)
    with pytest.raises(Refused, match="say --allow-removals 1"):
        house.apply(saved=plan)
    house.apply(saved=plan, removals=1)
    assert house["db-1"].given == {}


@pytest.mark.parametrize(
    "nonsense", [{}, {"format": "opsctl.plan/v1"}, {"format": "opsctl.nodes/v1", "changes": []}, {"changes": "all"}]
)
def test_what_is_no_plan_is_said_to_be_none(house: House, nonsense: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="this is not a saved plan"):
        house.apply(saved=nonsense)


class TestProgress:
    def test_it_counts_what_is_where(self, house: House) -> None:
        house["db-1"].disconnect()
        started = house.apply()
        assert {key: started[key] for key in ("total", "running", "waiting", "offline", "done")} == {
            "total": 2,
            "running": 1,
            "waiting": 0,
            "offline": 1,
            "done": 0,
        }
        assert not started["finished"]
        house["web-1"].work()
        progress = house.service.apply_status(ROOT, started["apply"])
        assert (progress["done"], progress["offline"], progress["finished"]) == (1, 1, True), "nobody waits for offline"
        house["db-1"].connect()
        house.settle(2)
        assert house.service.apply_status(ROOT, started["apply"])["done"] == 2

    def test_waves_are_waited_for(self, house: House) -> None:
        house.push({"associations/base.yaml": association("base", maxConcurrency='"1"', maxErrors='"100%"')})
        started = house.apply()
        assert (started["running"], started["waiting"]) == (1, 1)
        house.settle(3)
        progress = house.service.apply_status(ROOT, started["apply"])
        assert (progress["done"], progress["finished"]) == (2, True)

    def test_what_is_held_is_waited_for_by_a_person(self, house: House) -> None:
        house.push({"associations/base.yaml": association("base", maxConcurrency='"1"', maxErrors='"0"')})
        for machine in house.machines.values():
            machine.fails = {BASE}
        started = house.apply()
        house.settle(3)
        progress = house.service.apply_status(ROOT, started["apply"])
        assert (progress["failed"], progress["held"], progress["finished"]) == (1, 1, True)
        assert progress["associations"][0]["failedNodes"] in (["db-1"], ["web-1"])

    def test_what_another_commit_has_overtaken_is_over(self, house: House) -> None:
        started = house.apply()
        house.push({"documents/motd.yaml": DOCUMENT.replace("hello", "newer")})
        house.apply()
        progress = house.service.apply_status(ROOT, started["apply"])
        assert (progress["superseded"], progress["finished"]) == (True, True)

    def test_a_node_that_left_is_waited_for_by_nobody(self, house: House) -> None:
        house.push({"associations/base.yaml": association("base", maxConcurrency='"1"', maxErrors='"100%"')})
        started = house.apply()
        waiting = next(name for name, machine in house.machines.items() if machine.given[BASE][0] == 1)
        house.service.retire(ROOT, waiting)
        house.tick()
        next(machine for machine in house.machines.values() if machine.name != waiting).work()
        progress = house.service.apply_status(ROOT, started["apply"])
        assert (progress["total"], progress["done"], progress["finished"]) == (1, 1, True)

    def test_applying_again_follows_what_is_still_under_way(self, house: House) -> None:
        house.apply()
        again = house.apply()
        assert (again["total"], again["running"], again["finished"]) == (2, 2, False)
        house.settle(2)
        progress = house.service.apply_status(ROOT, again["apply"])
        assert (progress["done"], progress["finished"]) == (2, True)

    def test_an_apply_that_nobody_remembers(self, house: House) -> None:
        started = house.apply()
        house.restart()
        with pytest.raises(Refused, match=r"no apply .* is remembered"):
            house.service.apply_status(ROOT, started["apply"])
