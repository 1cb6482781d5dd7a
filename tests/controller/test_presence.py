"""Who is connected and does not look after itself is not online."""

from __future__ import annotations

from tests.controller.house import ROOT, House, small
from tests.engine.repository import DOCUMENT, association

BASE = "Association/base"
NAMES = ("n-1", "n-2", "n-3", "n-4")
FLEET = "apiVersion: ops/v1\nkind: Fleet\nmetadata: {name: acme}\nspec: {agent: {interval: 300}}\n"


def house() -> House:
    base = association("base", maxConcurrency='"1"', maxErrors='"1"')
    made = House(small(*NAMES, **{"associations/base.yaml": base, "fleet.yaml": FLEET}))
    made.join(*NAMES)
    made.settle(8)
    return made


def states(house: House) -> dict[str, str]:
    return {row["name"]: row["state"] for row in house.service.nodes(ROOT)}


def later(house: House, seconds: int, *pulsing: str) -> None:
    for _ in range(seconds // 60):
        house.tick(60)
        for name in pulsing:
            house[name].pulse()
    house.tick(6)


def test_three_intervals_without_a_look_make_a_node_inactive() -> None:
    story = house()
    later(story, 840, *NAMES[1:])
    assert set(states(story).values()) == {"Online"}
    later(story, 120, *NAMES[1:])
    assert states(story) == {"n-1": "Inactive", "n-2": "Online", "n-3": "Online", "n-4": "Online"}
    assert story.status()["online"] == 3
    story["n-1"].pulse()
    later(story, 6)
    assert states(story)["n-1"] == "Online"


def test_waves_do_not_wait_for_it_and_plans_mark_it() -> None:
    story = house()
    later(story, 1000, *NAMES[1:])
    story["n-1"].answers = False
    story.push({"documents/motd.yaml": DOCUMENT.replace("hello", "changed")})
    assert [change["unknown"] for change in story.service.plan(ROOT, None, None)["changes"]] == [["n-1"]]
    story.settle(80)
    assert story.given(BASE) == set(NAMES), "it is given what is newest from the budget of those that are away"
    assert story.in_flight(BASE) == {"n-1"}


def test_a_clock_that_is_off_says_nothing_of_it() -> None:
    from agent.contract.canonical import instant
    from agent.contract.wire import Pulse

    story = house()
    a_day_ago = story.timer.now_ms() - 86_400_000
    later(story, 1000)
    assert set(states(story).values()) == {"Inactive"}
    story.intake.pulsed(story["n-1"].id, Pulse(instant(a_day_ago), instant(a_day_ago - 1000)))
    story.intake.pulsed(story["n-2"].id, Pulse(instant(a_day_ago), instant(a_day_ago - 2_000_000)))
    later(story, 6)
    assert (states(story)["n-1"], states(story)["n-2"]) == ("Online", "Inactive")


def test_who_was_given_nothing_has_nothing_to_look_at() -> None:
    story = House(small("n-1", **{"associations/base.yaml": association("base", targets='"tag:No=one"')}))
    story.join("n-1")
    later(story, 20_000)
    assert states(story) == {"n-1": "Online"}
