"""What nodes say: in any order, twice, late, of another time; and what it is worth."""

from __future__ import annotations

from typing import Any

import pytest

from agent.contract.wire import Report
from reconciler.core.problem import Defect, Refused
from reconciler.core.world import World
from reconciler.engine import absorb
from tests.controller.house import ROOT, House, Machine, seen, small
from tests.engine.repository import DOCUMENT, node

BASE = "Association/base"
CHANGED = DOCUMENT.replace("hello", "changed")


@pytest.fixture
def house() -> House:
    house = House(small("web-1"))
    house.join("web-1")
    house.tick()
    return house


@pytest.fixture
def web(house: House) -> Machine:
    return house["web-1"]


def said(house: House) -> tuple[str, str, int]:
    """What counts: status, compliance and the number of the last report."""
    row = house.disk.assignment(house["web-1"].id, BASE)
    assert row is not None
    assert seen(house.world)["columns"] == seen(House.restart(house).world)["columns"], "World says what the store says"
    return row.status, row.compliance, row.seq


def test_the_newest_counts_whatever_comes_after_it(house: House, web: Machine) -> None:
    late = web.write(BASE, status="Failed")
    web.unsent.clear()
    web.say(BASE)
    house.intake.reported(web.id, late)
    assert said(house) == ("Success", "COMPLIANT", 2)


def test_twice_is_once(house: House, web: Machine) -> None:
    report = web.say(BASE)
    before = house.disk.states()
    house.timer.advance(5)
    house.intake.reported(web.id, report)
    assert house.disk.states() == before
    assert said(house) == ("Success", "COMPLIANT", 1)


def test_an_older_generation_is_history_although_the_body_has_come_back(house: House, web: Machine) -> None:
    """Generation 1 and 3 have one body; what is said of the first is no word on the third."""
    web.work()
    late = web.write(BASE, status="Failed")
    web.unsent.clear()
    for text in (CHANGED, DOCUMENT):
        house.push({"documents/motd.yaml": text})
        house.tick(61)
    assert web.given[BASE][0] == 3
    house.intake.reported(web.id, late)
    assert said(house)[0] == ""


def test_who_never_left_a_body_reports_on_the_generation_it_has(house: House) -> None:
    """Reverted halfway: those that were not reached yet keep generation 1, and their word counts."""
    names = tuple(f"n-{number}" for number in range(5))
    base = small()["associations/base.yaml"].replace("100%", "1")
    house.push({"associations/base.yaml": base})
    house.join(*names)
    house.settle(70)
    house.push({"documents/motd.yaml": CHANGED})
    house.tick(61)
    house.push({"documents/motd.yaml": DOCUMENT})
    house.tick(61)
    stayed = [machine for machine in house.machines.values() if machine.given[BASE][0] == 1]
    assert len(stayed) == 5
    stayed[0].drifts = {BASE}
    stayed[0].work()
    row = house.disk.assignment(stayed[0].id, BASE)
    assert row is not None
    assert (row.generation, row.compliance, row.drifted) == (1, "NON_COMPLIANT", True)
    assert house.service.node(ROOT, stayed[0].name)["compliance"] == "NON_COMPLIANT"


@pytest.mark.parametrize("shift", [-1, 1])
def test_another_incarnation_is_history(house: House, web: Machine, shift: int) -> None:
    web.say(BASE, incarnation=web.position[0] + shift)
    assert said(house)[0] == ""


def test_of_something_that_the_node_does_not_have(house: House, web: Machine) -> None:
    web.say("Association/unknown", generation=1, body_digest="sha256:" + "0" * 64)
    web.say(BASE, body_digest="sha256:" + "0" * 64)
    web.say(BASE, generation=99)
    assert said(house)[0] == ""


def test_of_another_node(house: House, web: Machine) -> None:
    report = web.write(BASE)
    with pytest.raises(Refused, match="came from mi-other"):
        house.intake.reported("mi-other", report)


def test_the_same_again_is_no_transition(house: House, web: Machine) -> None:
    web.say(BASE)
    (first,) = house.disk.states()
    house.timer.advance(60)
    web.say(BASE)
    assert house.disk.states() == [first]
    web.say(BASE, status="Failed")
    (second,) = house.disk.states()
    assert (second.compliance, second.since) == ("NON_COMPLIANT", house.timer.now_ms())


def test_a_last_word_is_written_down_once(house: House, web: Machine) -> None:
    report = web.say(BASE, cause="Removed", generation=1)
    house.intake.reported(web.id, report)
    assert len(house.audit("removed")) == 1
    assert said(house)[0] == "", "and changes nothing that is"


def test_a_report_that_nobody_foresaw_stops_no_other(
    house: House, web: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = absorb.absorb

    def strange(world: World, report: Report, *rest: Any) -> Any:
        if report.status == "Cancelled":
            raise ZeroDivisionError
        return right(world, report, *rest)

    monkeypatch.setattr(absorb, "absorb", strange)
    with pytest.raises(Defect, match="was not taken in: ZeroDivisionError"):
        web.say(BASE, status="Cancelled")
    web.unsent.clear()
    web.say(BASE)
    assert said(house)[0] == "Success"


def test_labels_settle_with_the_first_report_that_names_them(house: House, web: Machine) -> None:
    web.work()
    house.push({"nodes/web-1.yaml": node("web-1", "{New: label}")})
    house.tick(61)
    assert house.world.nodes.ids(house.world.unsettled) == [web.id]
    web.say(BASE)
    assert house.world.unsettled == 0
    assert house.restart().world.unsettled == 0


def test_when_a_node_was_seen_outlives_the_daemon(house: House, web: Machine) -> None:
    house.timer.advance(30)
    web.disconnect()
    at = house.service.node(ROOT, "web-1")["lastSeen"]
    house.tick(60)
    house.restart()
    found = house.service.node(ROOT, "web-1")
    assert (found["lastSeen"], found["state"]) == (at, "ConnectionLost")
