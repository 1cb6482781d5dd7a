"""Waves: how many at once, who stops them, who lets them go on; and what may not be taken away unnamed."""

from __future__ import annotations

import json

import pytest

from reconciler.core.problem import Refused
from tests.controller.house import MANUAL, ROOT, House, small
from tests.engine.repository import DOCUMENT, association, node

BASE = "Association/base"
NAMES = tuple(f"n-{number}" for number in range(10))
CHANGED = DOCUMENT.replace("hello", "changed")
CHANGED_AGAIN = DOCUMENT.replace("hello", "changed again")


def fleet(concurrency: str = "2", errors: str = "1", **more: str) -> House:
    """Ten nodes that have the first generation and are compliant."""
    base = association("base", maxConcurrency=f'"{concurrency}"', maxErrors=f'"{errors}"')
    house = House(small(*NAMES, **{"associations/base.yaml": base, **more}))
    house.join(*NAMES)
    house.settle(12)
    assert house.given(BASE) == set(NAMES)
    assert house.in_flight(BASE) == set()
    return house


def test_no_more_than_max_concurrency_are_under_way_at_any_instant() -> None:
    house = fleet()
    house.push({"documents/motd.yaml": CHANGED})
    house.tick(61)
    widest = 0
    done: list[int] = []
    while len(house.given(BASE)) < 10 or house.in_flight(BASE):
        widest = max(widest, len(house.in_flight(BASE)))
        done.append(len(house.given(BASE)))
        next(machine for machine in house.machines.values() if machine.name in house.in_flight(BASE)).work()
        house.tick(0.25)
    assert widest == 2
    assert done == sorted(done)
    assert done[0] == 2


def test_who_is_offline_stalls_nobody() -> None:
    house = fleet()
    for name in NAMES[:4]:
        house[name].disconnect()
    house.push({"documents/motd.yaml": CHANGED})
    house.settle(80)
    assert house.in_flight(BASE) == set(NAMES[:2]), "two of those that are away have a budget of their own"
    assert house.given(BASE) == set(NAMES[:2]) | set(NAMES[4:])
    for name in NAMES[:4]:
        house[name].connect()
    house.settle(5)
    assert house.given(BASE) == set(NAMES)
    assert house.in_flight(BASE) == set()


def test_labels_reach_nodes_in_waves_too() -> None:
    names = tuple(f"n-{number:02}" for number in range(20))
    house = House(small(*names))
    house.join(*names)
    house.settle(5)
    before = {name: house[name].context for name in names}
    house.push({f"nodes/{name}.yaml": node(name, "{New: label}") for name in names})
    house.tick(61)
    moved = [name for name in names if house[name].context != before[name]]
    assert len(moved) == 2
    assert {row["rule"] for row in house.status()["waits"]} == {"maxConcurrency"}
    restarted = house.restart()
    for name in names:
        house[name].connect()
    restarted.tick(5)
    assert [name for name in names if house[name].context != before[name]] == moved, "a restart forgets no budget"
    house.settle(30)
    assert [name for name in names if house[name].context == before[name]] == []


class TestHeld:
    def failed(self) -> House:
        """Two nodes failed where one may, and so did the one that had followed the first."""
        house = fleet()
        for machine in house.machines.values():
            machine.fails = {BASE}
        self.commit = house.push({"documents/motd.yaml": CHANGED})
        house.settle(70)
        return house

    def test_a_failing_wave_stops_and_says_so(self) -> None:
        house = self.failed()
        assert len(house.given(BASE)) == 3
        reason = "failed on 2 of 10 nodes, maxErrors allows 1"
        assert house.status()["held"] == {BASE: reason}
        assert [told.subject for told in house.notifier.told] == [f"{BASE} is held: {reason}"]
        assert {wait["rule"] for wait in house.status()["waits"]} == {"held"}

    def test_a_way_back_is_proposed(self) -> None:
        house = self.failed()
        (branch,) = [name for name in house.remote.branches if name.startswith("opsctl/")]
        tip = house.remote.commits[house.remote.branches[branch]]
        assert tip.commit.parents == (self.commit,)
        entry = tip.tree["documents/motd.yaml"]
        assert house.remote.blobs[entry.oid].decode() == DOCUMENT
        assert f"Revert {BASE}" in tip.message
        ends = {row[2] for verb in ("notify", "propose") for row in house.audit(verb)}
        assert ends == {"notified", f"proposed {tip.commit.oid[:12]} on {branch}"}
        house.push({"documents/motd.yaml": DOCUMENT})
        for machine in house.machines.values():
            machine.fails = set()
        house.settle(70)
        assert house.status()["held"] == {}
        assert house.in_flight(BASE) == set()
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {1, 3}

    def test_a_hold_outlives_the_daemon_and_is_told_once(self) -> None:
        house = self.failed()
        told = len(house.notifier.told)
        house.restart()
        for machine in house.machines.values():
            machine.connect()
        house.settle(10)
        assert len(house.given(BASE)) == 3
        assert len(house.notifier.told) == told

    def test_apply_lets_it_go_on_past_the_failures_that_were_seen(self) -> None:
        house = self.failed()
        for machine in house.machines.values():
            if machine.name not in house.given(BASE):
                machine.fails = set()
        started = house.apply()
        assert started["held"] == 0
        assert house.status()["held"] == {}
        house.settle(20)
        assert house.given(BASE) == set(NAMES)
        progress = house.service.apply_status(ROOT, started["apply"])
        assert (progress["done"], progress["failed"], progress["finished"]) == (7, 3, True)
        assert house.world.releases[BASE].tolerated == 3

    def test_and_stops_again_at_further_ones(self) -> None:
        house = self.failed()
        house.apply()
        house.settle(20)
        assert len(house.given(BASE)) == 6
        beyond = "failed on 5 of 10 nodes, maxErrors allows 1 beyond the 3 it was let go on with"
        assert house.status()["held"] == {BASE: beyond}
        assert len(house.notifier.told) == 2

    def test_so_does_one_that_fails_in_its_last_wave(self) -> None:
        house = fleet(concurrency="100%", errors="0")
        house["n-3"].fails = {BASE}
        house.push({"documents/motd.yaml": CHANGED})
        house.settle(70)
        assert house.given(BASE) == set(NAMES)
        reason = "failed on 1 of 10 nodes, maxErrors allows 0"
        assert house.status()["held"] == {BASE: reason}
        assert [told.subject for told in house.notifier.told] == [f"{BASE} is held: {reason}"]
        assert len([name for name in house.remote.branches if name.startswith("opsctl/")]) == 1

    def test_what_fails_long_after_it_was_well_is_not_held(self) -> None:
        house = fleet(concurrency="100%", errors="0")
        house["n-3"].say(BASE, status="Failed")
        house.settle(10)
        assert house.status()["held"] == {}
        assert house.status()["failing"] == 1

    def test_what_left_git_is_held_no_more(self) -> None:
        house = self.failed()
        house.push({"associations/base.yaml": None, "documents/motd.yaml": None})
        house.settle(70)
        assert house.status()["held"] == {}

    def test_a_newer_commit_starts_with_a_clean_slate(self) -> None:
        house = self.failed()
        for machine in house.machines.values():
            machine.fails = set()
        house.push({"documents/motd.yaml": CHANGED_AGAIN})
        house.settle(80)
        assert house.status()["held"] == {}
        assert house.given(BASE) == set(NAMES)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {3}

    def test_a_proposal_waits_for_the_remote(self) -> None:
        house = fleet()
        for machine in house.machines.values():
            machine.fails = {BASE}
        house.push({"documents/motd.yaml": CHANGED})
        house.tick(61)
        house.remote.down = "no route"
        house.settle(20)
        assert house.status()["held"]
        (row,) = [row for row in house.disk.pending_effects() if row.kind == "Propose"]
        assert row.attempts > 0
        house.remote.down = ""
        house.settle(200)
        assert house.disk.pending_effects() == []
        assert len([name for name in house.remote.branches if name.startswith("opsctl/")]) == 1


class TestRemovals:
    def test_an_association_that_left_git_stays_until_that_is_named(self) -> None:
        house = fleet()
        house.push({"associations/base.yaml": None, "documents/motd.yaml": None})
        house.settle(70)
        assert all(BASE in machine.given for machine in house.machines.values())
        (wait,) = house.status()["waits"]
        assert (wait["uid"], wait["rule"], wait["nodes"]) == (BASE, "removals", 10)
        with pytest.raises(Refused, match="say --allow-removals 10 if that is meant"):
            house.apply()
        with pytest.raises(Refused, match="say --allow-removals 10"):
            house.apply(removals=9)
        started = house.apply(removals=10)
        assert started["removals"] == 10
        assert not any(machine.given for machine in house.machines.values())
        house.settle(3)
        assert house.disk.states() == []
        assert len(house.audit("removed")) == 10

    def test_it_returns_with_the_generation_it_left_with(self) -> None:
        house = fleet()
        text = association("base", maxConcurrency='"2"', maxErrors='"1"')
        house.push({"associations/base.yaml": None})
        house.tick(61)
        house.apply(removals=10)
        house.settle(5)
        house.push({"associations/base.yaml": text})
        house.settle(80)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {1}
        house.push({"documents/motd.yaml": CHANGED})
        house.settle(80)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {2}

    def test_a_few_may_go_without_a_word(self) -> None:
        house = fleet(**{f"nodes/{name}.yaml": node(name, "{Env: prod}") for name in NAMES})
        targeted = association("base", targets='"tag:Env=prod"', maxConcurrency='"2"', maxErrors='"1"')
        house.push({"associations/base.yaml": targeted, "nodes/n-0.yaml": node("n-0", "{Env: stage}")})
        house.settle(70)
        assert house.given(BASE) == set(NAMES[1:])
        house.push({"nodes/n-1.yaml": node("n-1"), "nodes/n-2.yaml": node("n-2")})
        house.settle(70)
        assert house.given(BASE) == set(NAMES[1:]), "two of nine are more than 10 %"


def test_conflicts_are_given_to_neither_and_what_is_there_stays() -> None:
    house = fleet()
    house.push({"associations/other.yaml": association("other", parameters="{text: [theirs]}")})
    house.settle(70)
    assert all(set(machine.given) == {BASE} for machine in house.machines.values())
    (conflict,) = house.status()["conflicts"]
    assert "path:/etc/motd is claimed by Association/base" in conflict
    (reason, *_) = house.service.explain(ROOT, "n-0", "/etc/motd")["reasons"]
    assert any("conflict" in wait for wait in reason["waits"])
    assert json.dumps(reason)


def test_under_manual_the_first_commit_waits_for_a_person() -> None:
    house = House(small("web-1", fleet=MANUAL))
    (web,) = house.join("web-1")
    house.settle(5)
    assert web.given == {}
    assert house.status()["revision"] is None
    house.apply()
    assert BASE in web.given
