"""The store fails, the lease goes, the bus breaks: nothing is acknowledged that is not kept, and nothing diverges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.core.problem import Defect, Refused, Unavailable
from tests.controller.house import MANUAL, ROOT, Crash, House, seen, small
from tests.engine.repository import DOCUMENT, association

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.records import Changes

BASE = "Association/base"
CHANGED = DOCUMENT.replace("hello", "changed")
NAMES = ("n-0", "n-1", "n-2")


@pytest.fixture
def house() -> House:
    house = House(small(*NAMES))
    house.join(*NAMES)
    house.settle(2)
    return house


def fail(*_: object) -> None:
    raise Unavailable("the store", "the disk is full")


def never(*_: object) -> None:
    """No trouble."""


class TestStore:
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_report_is_acknowledged_only_once_it_is_kept(self, house: House, when: str) -> None:
        """Whether the transaction is on disk nobody knows: the node sends again, and it counts once."""
        web = house["n-0"]
        web.fails = {BASE}
        setattr(house.disk, when, fail)
        with pytest.raises(Unavailable, match="disk is full"):
            web.work()
        assert len(web.unsent) == 1
        setattr(house.disk, when, never)
        house.settle(5)
        assert web.unsent == []
        assert house.service.node(ROOT, "n-0")["compliance"] == "NON_COMPLIANT"
        states = house.disk.states(node_ids=[web.id])
        assert [row.status for row in states] == ["Failed"]
        assert seen(house.world) == seen(house.restart().world)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_round_is_tried_again(self, house: House, when: str) -> None:
        house.push({"documents/motd.yaml": CHANGED})
        setattr(house.disk, when, fail)
        house.settle(70)
        setattr(house.disk, when, never)
        house.settle(70)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {2}
        assert [row.generation for row in house.disk.releases()] == [2], "one release, however often it was tried"
        assert house.status()["problems"] == []
        assert seen(house.world) == seen(house.restart().world)

    def test_a_commit_that_was_kept_although_it_failed_is_no_obstacle_for_the_next_one(self, house: House) -> None:
        """The store has generation 2 and World does not know; meanwhile Git asks for something else."""
        house.push({"documents/motd.yaml": CHANGED})
        house.disk.after = fail
        house.tick(61)
        house.disk.after = never
        house.push({"documents/motd.yaml": DOCUMENT.replace("hello", "something else")})
        house.settle(120)
        assert {machine.given[BASE][0] for machine in house.machines.values()} <= {2, 3}
        assert house.in_flight(BASE) == set()
        assert seen(house.world) == seen(house.restart().world)

    def test_people_see_it_and_nothing_is_decided_meanwhile(self, house: House) -> None:
        house.disk.before = house.disk.reading = fail
        with pytest.raises(Unavailable):
            house["n-0"].say(BASE, status="Failed")
        assert house.status()["problems"] == ["unavailable: the store: the disk is full"]
        for ask in (
            lambda: house.token("late"),
            lambda: house.apply(),
            lambda: house.service.retire(ROOT, "n-1"),
        ):
            with pytest.raises(Unavailable):
                ask()
        assert len(house.service.nodes(ROOT)) == 3, "what is known is shown"
        house.disk.before = house.disk.reading = never
        house.settle(40)
        assert house.status()["problems"] == []
        assert house.token("late")

    def test_nodes_keep_their_places_when_world_is_read_anew(self, house: House) -> None:
        """An apply followed meanwhile still means the nodes that it meant."""
        house.push({"documents/motd.yaml": CHANGED})
        started = house.apply()
        house.service.retire(ROOT, "n-0")
        house.disk.after = fail
        with pytest.raises(Unavailable):
            house["n-1"].work()
        house.disk.after = never
        house.settle(5)
        assert house.world.nodes.bits.keys() == {house["n-1"].id, house["n-2"].id}
        assert house.world.nodes.names(house.world.online) == ["n-1", "n-2"]
        progress = house.service.apply_status(ROOT, started["apply"])
        assert (progress["total"], progress["done"]) == (2, 2)

    def test_what_needs_no_acknowledgement_is_not_lost(self, house: House) -> None:
        house.disk.before = fail
        house["n-0"].disconnect()
        at = house.timer.now_ms()
        house.tick(2)
        house.disk.before = never
        house.tick(5)
        row = house.disk.node(house["n-0"].id)
        assert row is not None
        assert row.last_seen == at

    def test_what_the_store_refuses_is_no_doubt(self, house: House) -> None:
        def refuse(changes: Changes) -> None:
            if changes.tokens:
                raise Refused("the join token was used already", "tokens are used once")

        token = house.token("late")
        house.disk.before = refuse
        with pytest.raises(Refused, match="used already"):
            house.intake.enrol(house.enrolment(token, "late"), "a")
        assert house.status()["problems"] == []
        house["n-0"].say(BASE)

    def test_a_defect_makes_world_what_the_store_says(self, house: House) -> None:
        def broken(_: Changes) -> None:
            raise Defect("the store cannot keep a value")

        house.disk.before = broken
        with pytest.raises(Defect):
            house["n-0"].say(BASE, status="Failed")
        house.disk.before = never
        house.settle(5)
        assert seen(house.world) == seen(house.restart().world)


class TestLease:
    def test_a_daemon_whose_lease_was_taken_stops_at_once(self, house: House) -> None:
        other = type(house.disk)("fl-0123456789abcdef0", 0, house.disk_state)
        other.renew_lease("another one", house.timer.now_ms(), 30, seize=True)
        with pytest.raises(Refused, match="was taken by another one"):
            house.token("late")
        assert [str(problem) for problem in house.lost] == [
            "refused: the lease on this state was taken by another one (rule: one leader per state); "
            "end this daemon; the other one leads"
        ]
        web = house["n-0"]
        for ask in (
            lambda: house.intake.desired(web.id),
            lambda: web.say(BASE),
            lambda: house.token("late"),
            lambda: house.apply(),
            lambda: web.connect(),
        ):
            with pytest.raises((Unavailable, Refused)):
                ask()
        revision = house.world.revision
        house.push({"documents/motd.yaml": CHANGED})
        house.tick(120)
        assert house.world.revision == revision
        assert len(house.lost) == 1

    def test_it_is_noticed_although_nothing_happens(self, house: House) -> None:
        other = type(house.disk)("fl-0123456789abcdef0", 0, house.disk_state)
        other.renew_lease("another one", house.timer.now_ms(), 30, seize=True)
        house.tick(11)
        assert len(house.lost) == 1

    def test_it_is_kept_however_the_clock_is_set(self, house: House) -> None:
        house.timer.set_clock(3600)
        house.tick(60)
        other = type(house.disk)("fl-0123456789abcdef0", 0, house.disk_state)
        with pytest.raises(Refused, match="led by this one"):
            other.renew_lease("another one", house.timer.now_ms(), 30)
        assert house.lost == []


class TestBus:
    def test_who_could_not_be_woken_is_woken_later(self, house: House) -> None:
        house.bus.broken = RuntimeError("the event loop is closed")
        house.push({"documents/motd.yaml": CHANGED})
        house.tick(65)
        assert house.given(BASE) == set(NAMES), "what is committed is so"
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {1}
        house.bus.broken = None
        house.tick(2)
        assert {machine.given[BASE][0] for machine in house.machines.values()} == {2}


class Story:
    """What happens between two starts; each step may be the last one of its process."""

    def __init__(self) -> None:
        self.house = House(small(*NAMES, fleet=MANUAL))
        self.house.join(*NAMES)
        base = association("base", maxConcurrency='"1"', maxErrors='"0"')
        self.steps: list[Callable[[], object]] = [
            lambda: self.house.apply(),
            lambda: self.work(),
            lambda: self.fail(),
            lambda: self.house.push({"documents/motd.yaml": CHANGED, "associations/base.yaml": base}),
            lambda: self.house.apply(),
            lambda: self.work(),
            lambda: self.heal(),
            lambda: self.house.apply(),
            lambda: self.work(),
            lambda: self.house.push({"associations/base.yaml": None}),
            lambda: self.house.apply(removals=3),
            lambda: self.work(),
        ]

    def fail(self) -> None:
        """The first node of the next wave will not be able to."""
        self.house["n-0"].fails = {BASE}
        self.house["n-0"].told[BASE] = (*self.house["n-0"].told[BASE][:4], True, False)

    def heal(self) -> None:
        self.house["n-0"].fails = set()

    def work(self) -> None:
        self.house.settle(8)

    def told(self, crash_at: int | None, *, kept: bool) -> int:
        """Go through it all. The process ends at the commit of this number, which is kept or not; how many there were.

        A step that was cut off is repeated by the next process: people ask again, nodes come back.
        """
        commits = 0

        def strike(_: Changes) -> None:
            nonlocal commits
            commits += 1
            if commits == crash_at:
                raise Crash

        def arm() -> None:
            setattr(self.house.disk, "after" if kept else "before", strike)

        arm()
        for step in self.steps:
            try:
                step()
            except Crash:
                self.house.restart()
                arm()
                for machine in self.house.machines.values():
                    machine.connect()
                self.house.settle(2)
                step()
        return commits


def end(house: House) -> dict[str, object]:
    """What everybody should agree on in the end, whatever fell when."""
    house.settle(20)
    found = seen(house.world)
    assert seen(house.restart().world) == found
    return {
        "releases": {uid: (release.body_digest, release.held_for) for uid, release in found["releases"].items()},
        "columns": found["columns"],
        "given": {name: set(machine.given) for name, machine in house.machines.items()},
        "states": [(row.uid, row.compliance) for row in house.disk.states()],
        "notified": {told.subject for told in house.notifier.told},
        "pending": house.disk.pending_effects(),
    }


def commits_of_the_story() -> int:
    return Story().told(None, kept=True)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("at", range(1, commits_of_the_story() + 1))
def test_a_process_may_end_at_any_commit(at: int, kept: bool) -> None:
    whole, cut = Story(), Story()
    whole.told(None, kept=kept)
    cut.told(at, kept=kept)
    expected, found = end(whole.house), end(cut.house)
    ids = {cut.house[name].id: whole.house[name].id for name in NAMES}
    text = str(found)
    for ours, theirs in ids.items():
        text = text.replace(ours, theirs)
    assert sorted(text) == sorted(str(expected))
