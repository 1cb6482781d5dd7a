"""A start finds what the last daemon knew; a backup is a store that knows less than its nodes."""

from __future__ import annotations

import copy
import dataclasses

import pytest

from reconciler.core.problem import Refused
from tests.controller.house import MANUAL, ROOT, House, seen, small
from tests.engine.repository import DOCUMENT, FLEET, association, node

BASE = "Association/base"
CHANGED = DOCUMENT.replace("hello", "changed")
NAMES = ("n-0", "n-1", "n-2")


def running() -> House:
    house = House(small(*NAMES))
    house.join(*NAMES)
    house.settle(3)
    return house


def test_world_is_as_it_was() -> None:
    house = running()
    house["n-0"].drifts = {BASE}
    house["n-1"].fails = {BASE}
    house.push({"documents/motd.yaml": CHANGED})
    house.settle(70)
    house["n-2"].disconnect()
    house.push({"documents/motd.yaml": DOCUMENT})
    house.tick(61)
    before = seen(house.world)
    assert seen(house.restart().world) == before


def test_what_was_in_force_stays_so_under_manual() -> None:
    house = House(small(*NAMES, fleet=MANUAL))
    first = house.apply()["commit"]
    house.join(*NAMES)
    second = house.push({"documents/motd.yaml": CHANGED})
    house.restart()
    house.settle(70)
    status = house.status()
    assert (status["revision"], status["head"], status["sync"]) == (first, second, "manual")
    assert {machine.given[BASE][0] for machine in house.machines.values()} == {1}


def test_the_remote_may_be_down_at_a_start() -> None:
    house = running()
    house.remote.down = "no route"
    house.restart()
    for machine in house.machines.values():
        machine.connect()
        machine.work()
    house.settle(5)
    status = house.status()
    assert status["revision"] is not None
    assert status["problems"] == ["unavailable: Git remote in memory: no route"]
    assert house.join("late") == [house["late"]]
    house.settle(3)
    assert BASE in house["late"].given, "what is in force is given to whoever joins"


class TestLostMirror:
    def test_the_first_fetch_brings_it_back(self) -> None:
        house = House(small(*NAMES, fleet=MANUAL))
        first = house.apply()["commit"]
        house.push({"documents/motd.yaml": CHANGED})
        house.forget_mirror()
        house.remote.down = "no route"
        house.restart()
        assert house.status()["revision"] == first
        house.remote.down = ""
        house.tick(10)
        assert house.state.catalog.commit == first, "not the head: nobody applied it"

    def test_a_history_without_the_commit_in_force_is_refused(self) -> None:
        house = running()
        before = house.status()["revision"]
        house.remote.branches["main"] = house.remote.commit(None, {"fleet.yaml": FLEET.encode()})
        house.forget_mirror()
        house.restart()
        house.settle(10)
        status = house.status()
        assert status["revision"] == before
        assert "does not contain" in status["problems"][0]
        assert "--allow-rewrite" in status["problems"][0]
        assert all(BASE in machine.given for machine in house.machines.values())

    def test_until_the_operator_says_that_it_is_meant(self) -> None:
        house = running()
        other = house.remote.commit(None, {path: text.encode() for path, text in small(*NAMES).items()})
        house.remote.branches["main"] = other
        house.forget_mirror()
        house.identity = dataclasses.replace(house.identity, allow_rewrite=True)
        house.restart()
        house.settle(10)
        assert house.status()["revision"] == other
        assert house.status()["problems"] == []


class TestUnreadable:
    """A history in which something is valid nowhere: a newer opsctl, say, that reads more strictly than the last."""

    BY_LABEL = association("base", targets='"tag:Env=prod"')
    LOOSE = FLEET + "spec: {maxRemovals: 100}\n"

    def anew(self, **broken: str) -> House:
        labelled = {f"nodes/{name}.yaml": node(name, "{Env: prod}") for name in NAMES}
        files = {**small(*NAMES, fleet=self.LOOSE), **labelled, "associations/base.yaml": self.BY_LABEL}
        house = House(files)
        house.join(*NAMES)
        house.settle(5)
        assert house.given(BASE) == set(NAMES)
        self.contexts = {name: house[name].context for name in NAMES}
        changed = {path: text.encode() for path, text in {**files, **broken}.items()}
        house.remote.branches["main"] = house.remote.commit(None, changed)
        house.forget_mirror()
        house.identity = dataclasses.replace(house.identity, allow_rewrite=True)
        house.restart()
        for name in NAMES:
            house[name].connect()
        house.settle(70)
        return house

    def as_it_was(self, house: House) -> None:
        assert house.given(BASE) == set(NAMES)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {1}
        assert {name: house[name].context for name in NAMES} == self.contexts

    def test_a_fleet(self) -> None:
        house = self.anew(**{"fleet.yaml": FLEET + "spec: {nonsense: 1}\n", "documents/motd.yaml": CHANGED})
        self.as_it_was(house)
        assert any(condition["uid"] == "Fleet" for condition in house.status()["conditions"])
        assert house.apply()["done"] == 0
        self.as_it_was(house)

    @pytest.mark.parametrize("path", ["nodes/n-1.yaml", "nodes/n-1.yml"])
    def test_a_node(self, path: str) -> None:
        broken = {"nodes/n-1.yaml": "kind: Node", path: "kind: [" if path.endswith("yml") else "kind: Node"}
        house = self.anew(**broken)
        self.as_it_was(house)
        house.push({"documents/motd.yaml": CHANGED, "nodes/n-0.yaml": node("n-0", "{Env: test}")})
        house.settle(70)
        assert house.given(BASE) == {"n-1", "n-2"}
        assert house["n-1"].context == self.contexts["n-1"]
        house.push({"nodes/n-1.yaml": None, path: None})
        house.settle(70)
        assert house.given(BASE) == {"n-2"}, "no file of it is left, and so neither are its labels"


class TestRestored:
    """A backup is taken at generation 1; the nodes are at generation 2 when it is put back."""

    def back(self, *, declared: bool) -> House:
        house = running()
        backup = copy.deepcopy(house.disk_state.fleets)
        house.push({"documents/motd.yaml": CHANGED})
        house.settle(70)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {2}
        house.push({"documents/motd.yaml": DOCUMENT.replace("hello", "something else")})
        house.crash()
        house.disk_state.fleets = backup
        house.start(restored=declared)
        return house

    def test_a_node_that_knows_more_is_left_alone_and_people_see_why(self) -> None:
        house = self.back(declared=False)
        held = dict(house["n-0"].given)
        with pytest.raises(Refused, match="which this store never gave it"):
            house["n-0"].connect()
        house.settle(5)
        assert house["n-0"].given == held
        row = house.service.node(ROOT, "n-0")
        assert row["state"] == "Held"
        assert "opsctl serve --restored" in row["reason"]
        assert next(row for row in house.service.nodes(ROOT) if row["name"] == "n-0")["state"] == "Held"

    def test_declared_restored_everybody_is_told_anew(self) -> None:
        house = self.back(declared=True)
        for machine in house.machines.values():
            machine.connect()
        house.settle(70)
        assert {row["state"] for row in house.service.nodes(ROOT)} == {"Online"}
        assert {machine.position[0] for machine in house.machines.values()} == {house.disk.incarnation}
        assert house.disk.incarnation > house.machines["n-0"].house.timer.now_ms() - 10**9
        assert house.in_flight(BASE) == set()

    def test_no_generation_of_the_lost_time_is_used_again(self) -> None:
        house = self.back(declared=True)
        for machine in house.machines.values():
            machine.connect()
        house.settle(70)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {1_000_001}
        house.push({"associations/new.yaml": association("new", targets="nobody")})
        house.push({"documents/motd.yaml": DOCUMENT})
        house.settle(70)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {1_000_002}
        assert house.restart().world.generations_from == 1_000_001

    def test_a_token_from_before_may_have_been_used(self) -> None:
        house = running()
        token = house.token("late")
        house.tick()
        house.restart(restored=True)
        with pytest.raises(Refused, match="from before the store was restored"):
            house.intake.enrol(house.enrolment(token, "late"), "10.0.0.1")
