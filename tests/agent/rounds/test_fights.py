"""Fights and looks in vain: when what is told, and when what is tried again. Time is the test's."""

from __future__ import annotations

from agent.contract.wire import ClaimReport
from agent.rounds.fights import Fights
from agent.rounds.outcome import RunResult

UID, CLAIM = "Association/motd", "path:/etc/motd"
INTERVAL = 1800.0


class Ring:
    """One claim and whoever wants it otherwise."""

    def __init__(self) -> None:
        self.fights = Fights()
        self.now = 1000.0

    def look(self, outcome: str, claim: str = CLAIM, interval: float = INTERVAL) -> str | None:
        """What the report says of a look that came to `outcome`."""
        result = RunResult("Success", [ClaimReport(claim, "motd", outcome)], "", "")
        (told,) = self.fights.seen(UID, result, self.now, int(self.now * 1000), interval).claims
        return told.reason

    def later(self, seconds: float) -> Ring:
        self.now += seconds
        return self

    def alone(self) -> bool:
        return CLAIM in self.fights.left_alone(UID, self.now)

    def fought(self) -> Ring:
        for _ in range(3):
            self.later(1).look("Changed")
        return self

    def wait(self) -> float:
        return self.fights.due(UID, CLAIM, self.now, INTERVAL) - self.now


def test_three_heals_within_a_minute_are_a_fight() -> None:
    ring = Ring()
    assert ring.look("Changed") is None
    assert ring.later(20).look("Changed") is None
    reason = ring.later(20).look("Changed") or ""
    assert reason.startswith(
        "Fight: something else changes it back; put right 3 times, and again after 1970-01-01T00:18:"
    )
    assert ring.alone()


def test_three_heals_within_more_are_none() -> None:
    ring = Ring()
    assert [ring.later(31).look("Changed") for _ in range(10)] == [None] * 10
    assert not ring.alone()


def test_others_of_the_association_are_no_part_of_it() -> None:
    ring = Ring().fought()
    assert ring.look("Changed", "path:/etc/issue") is None
    assert ring.fights.left_alone(UID, ring.now) == {CLAIM}


def test_pauses_double_up_to_the_interval() -> None:
    ring = Ring().fought()
    pauses = []
    for _ in range(7):
        ring.look("Drifted")
        pauses.append(ring.wait())
        ring.later(ring.wait())
        assert not ring.alone()
        assert ring.look("Changed")
    assert pauses == [60, 120, 240, 480, 960, 1800, 1800]


def test_a_short_interval_is_the_longest_pause() -> None:
    ring = Ring()
    for _ in range(10):
        ring.later(1).look("Changed", interval=1.0)
    assert ring.fights.next_heal(UID) == ring.now + 1


def test_while_it_is_left_alone_it_is_told_once_with_the_same_words() -> None:
    ring = Ring().fought()
    told = {ring.look("Unchanged"), ring.later(1).look("Drifted"), ring.later(1).look("Drifted")}
    assert len(told) == 1
    assert ring.wait() == 58


def test_it_is_over_when_nobody_changed_it_back_for_a_whole_pause() -> None:
    ring = Ring().fought()
    assert ring.look("Unchanged")
    assert ring.fights.next_heal(UID) == ring.now + 60
    assert ring.later(60).look("Unchanged") is None
    assert ring.fights.next_heal(UID) is None
    assert ring.look("Changed") is None


def test_a_node_that_may_not_act_does_not_look_without_end() -> None:
    ring = Ring().fought()
    ring.look("Drifted")
    ring.later(60).look("Drifted")
    assert ring.fights.next_heal(UID) == ring.now + 60


def test_a_claim_that_is_gone_is_not_waited_for() -> None:
    ring = Ring().fought()
    ring.later(60).look("Changed", "path:/etc/issue")
    assert ring.fights.next_heal(UID) is None


def test_a_new_generation_starts_afresh() -> None:
    ring = Ring().fought()
    ring.fights.begin(UID)
    assert not ring.alone()
    assert ring.look("Changed") is None


def test_what_is_not_held_any_more_is_forgotten() -> None:
    ring = Ring().fought()
    ring.fights.looked(UID, ring.now, news=False, failed=True)
    ring.fights.forget([])
    assert not ring.alone()
    assert [kept for kept in vars(ring.fights).values() if kept] == []


def test_looks_in_vain_become_rare_and_news_ends_that() -> None:
    ring = Ring()
    waits = []
    for _ in range(15):
        waits.append(ring.wait())
        ring.later(ring.wait()).fights.looked(UID, ring.now, news=False, failed=False)
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800]
    ring.fights.looked(UID, ring.now, news=True, failed=False)
    assert ring.wait() == 0


def test_quiet_ends_it_too() -> None:
    ring = Ring()
    for _ in range(6):
        ring.fights.looked(UID, ring.now, news=False, failed=False)
    assert ring.wait() == 8
    assert ring.later(61).wait() == 0
    ring.fights.looked(UID, ring.now, news=False, failed=False)
    assert ring.wait() == 0


def test_a_failure_is_not_tried_again_for_its_own_traces() -> None:
    ring = Ring()
    ring.fights.looked(UID, ring.now, news=True, failed=True)
    assert ring.wait() == 2
    ring.later(2).fights.looked(UID, ring.now, news=False, failed=True)
    assert ring.wait() == 4
    ring.later(4).fights.looked(UID, ring.now, news=True, failed=False)
    assert ring.wait() == 0
