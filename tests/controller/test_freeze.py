"""A freeze is a freeze: no wave, no apply, no healing, until it ends by itself or Git takes it back."""

from __future__ import annotations

from agent.contract.canonical import instant
from tests.controller.house import BORN, ROOT, House, small
from tests.engine.repository import DOCUMENT

BASE = "Association/base"
CHANGED = DOCUMENT.replace("hello", "changed")
HOUR = 3_600_000


def fleet(until: int, reason: str = "the year ends") -> str:
    """A fleet.yaml that freezes until so many milliseconds after the story began."""
    freeze = f"freeze: {{reason: {reason}, until: '{instant(BORN + until)}'}}"
    return f"apiVersion: ops/v1\nkind: Fleet\nmetadata: {{name: acme}}\nspec: {{{freeze}}}\n"


def words(until: int) -> str:
    return f"frozen until {instant(BORN + until)} because the year ends"


def frozen(until: int = HOUR) -> House:
    """Three nodes, two of them enrolled, and a freeze with a change behind it."""
    house = House(small("n-1", "n-2", "n-3"))
    house.join("n-1", "n-2")
    house.settle(3)
    house.push({"fleet.yaml": fleet(until)})
    house.tick(61)
    house.push({"documents/motd.yaml": CHANGED})
    house.tick(61)
    return house


def test_no_wave_goes_out_and_everybody_is_told_why() -> None:
    house = frozen()
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {1}
    assert house.status()["frozen"] == words(HOUR)
    (wait,) = house.status()["waits"]
    assert (wait["uid"], wait["rule"], wait["reason"], wait["nodes"]) == (BASE, "freeze", words(HOUR), 2)
    assert {row["frozen"] for row in house.service.nodes(ROOT) if row["id"]} == {words(HOUR)}
    assert house.service.node(ROOT, "n-1")["frozen"] == words(HOUR)
    for reason in house.service.explain(ROOT, "n-1", None)["reasons"]:
        assert reason["waits"] == (f"freeze: {words(HOUR)}",)
    plan = house.service.plan(ROOT, None, None)
    assert [(row["rule"], row["nodes"]) for row in plan["waiting"]] == [("freeze", ["n-1", "n-2"])]


def test_an_apply_ends_with_everything_held() -> None:
    house = frozen()
    started = house.apply()
    house.settle(3)
    progress = house.service.apply_status(ROOT, started["apply"])
    assert (progress["held"], progress["waiting"], progress["finished"]) == (2, 0, True)
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {1}


def test_nodes_are_held_also_those_that_come_later() -> None:
    house = frozen()
    (late,) = house.join("n-3")
    assert late.given == {}
    for machine in house.machines.values():
        assert machine.orders.hold is not None
        assert (machine.orders.hold.reason, machine.orders.hold.until) == ("the year ends", instant(BORN + HOUR))
        assert machine.orders.hold.envelope.node_id == machine.id


def test_it_ends_by_itself() -> None:
    house = frozen()
    house.tick(3600)
    house.settle(3)
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {2}
    assert house.status()["frozen"] == ""
    assert house.status()["waits"] == []
    assert house.intake.orders(house["n-1"].id).hold is None, "there is none that could still count"


def test_git_takes_it_back() -> None:
    house = frozen()
    house.push({"fleet.yaml": small()["fleet.yaml"]})
    house.tick(61)
    house.settle(3)
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {2}
    hold = house["n-1"].orders.hold
    assert hold is not None
    assert (hold.lifted, hold.envelope.serial) == (True, 2)
    assert [row[2] for row in house.audit("freeze")] == ["lifted", words(HOUR)]


def test_a_longer_one_is_a_newer_hold() -> None:
    house = frozen()
    house.push({"fleet.yaml": fleet(2 * HOUR)})
    house.tick(61)
    hold = house["n-1"].orders.hold
    assert hold is not None
    assert (hold.until, hold.envelope.serial) == (instant(BORN + 2 * HOUR), 2)


def test_a_restart_forgets_nothing() -> None:
    house = frozen()
    house.restart()
    for machine in house.machines.values():
        machine.connect()
    house.settle(5)
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {1}
    hold = house["n-1"].orders.hold
    assert hold is not None
    assert hold.envelope.serial == 1
    assert len(house.audit("freeze")) == 1


def test_one_that_is_over_holds_nobody() -> None:
    house = frozen(until=1)
    house.settle(3)
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {2}
    assert house["n-1"].orders.hold is None


def test_removals_wait_too() -> None:
    house = frozen()
    house.push({"associations/base.yaml": None})
    house.tick(61)
    house.apply(removals=10)
    assert all(BASE in machine.given for machine in house.machines.values())


def test_an_agent_that_knows_no_holds_is_named() -> None:
    house = frozen()
    house["n-1"].disconnect()
    house.state.life(house["n-1"].id).features = ()
    house.state.life(house["n-1"].id).connected = True
    assert house.service.node(ROOT, "n-1")["frozen"] == f"{words(HOUR)}; its agent is too old to obey that"
