"""The one hand: at least once, in its order, with growing pauses; what cannot be done keeps nobody waiting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.contract.canonical import digest
from reconciler.adapters.gateway.memory import MemoryBus
from reconciler.adapters.git import MemoryProposals, MemoryRepository, MemorySource
from reconciler.adapters.notify import MemoryNotifier
from reconciler.adapters.store import MemoryStore
from reconciler.adapters.timer import HandTimer
from reconciler.core.problem import Refused, Unavailable
from reconciler.core.records import Changes, EffectRow, ReleaseRow
from reconciler.execute import PAUSES, Executor

UID = "Association/base"
BODY = digest(b"{}")


class Hand:
    """An executor over ports in memory."""

    def __init__(self) -> None:
        self.clock = HandTimer(1_700_000_000_000)
        self.store = MemoryStore("fl-1", self.clock.now_ms())
        self.store.renew_lease("one", self.clock.now_ms(), 3600)
        self.remote = MemoryRepository()
        self.source = MemorySource(self.remote)
        self.bus, self.notifier, self.proposals = MemoryBus(), MemoryNotifier(), MemoryProposals(self.remote)
        self.start()

    def start(self) -> None:
        self.executor = Executor(self.store, self.bus, self.source, self.notifier, self.proposals, self.clock)

    def queue(self, id_: str, kind: str = "Notify", **payload: Any) -> None:
        said = payload or {"subject": id_, "text": "because", "severity": "error"}
        row = EffectRow(id_ * 64, kind, json.dumps(said), "cause", "alice", self.clock.now_ms())
        self.store.commit(Changes(effects=(row,)))

    def told(self) -> list[str]:
        return [told.subject for told in self.notifier.told]

    def outcomes(self) -> list[tuple[str, str]]:
        return [(row.verb, row.outcome) for row in reversed(self.store.audit())]


@pytest.fixture
def hand() -> Hand:
    return Hand()


def down(*_: Any, **__: Any) -> Any:
    raise Unavailable("mail", "no route")


def test_who_is_touched_is_woken_once_it_is_committed(hand: Hand) -> None:
    hand.executor.commit(Changes(settings={"a": "1"}), ["mi-2", "mi-1"])
    assert hand.bus.woken == [("mi-1", "mi-2")]
    hand.executor.commit(Changes(settings={"a": "2"}))
    assert len(hand.bus.woken) == 1
    hand.store.release_lease()
    with pytest.raises(Refused):
        hand.executor.commit(Changes(settings={"a": "3"}), ["mi-3"])
    assert len(hand.bus.woken) == 1


def test_effects_are_performed_in_order_and_once(hand: Hand) -> None:
    for name in "abc":
        hand.queue(name)
    assert hand.executor.work_off() == 0
    assert hand.executor.work_off() == 0
    assert hand.told() == ["a", "b", "c"]
    assert hand.outcomes() == [("notify", "notified")] * 3
    assert {row.subject for row in hand.store.audit()} == {"alice"}


def test_what_was_performed_and_not_written_down_is_performed_again_and_told_once(hand: Hand) -> None:
    """A crash between the two; the port knows the effect by its id."""
    hand.queue("a")
    hand.notifier.notify("a" * 64, "a", "because", "error")
    hand.start()
    assert hand.executor.work_off() == 0
    assert hand.told() == ["a"]


def test_a_port_that_is_down_is_asked_again_with_growing_pauses(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def refuse(*_: Any) -> None:
        asked.append(hand.clock.elapsed())
        raise Unavailable("mail", "no route")

    monkeypatch.setattr(hand.notifier, "notify", refuse)
    hand.queue("a")
    begun = hand.clock.elapsed()
    for _ in range(1500):
        assert hand.executor.work_off() == 1
        hand.clock.advance(1)
    expected, at = [0.0], 0.0
    for pause in (*PAUSES, PAUSES[-1]):
        at += pause
        expected.append(at)
    assert [one - begun for one in asked] == [one for one in expected if one < 1500]
    (row,) = hand.store.pending_effects()
    assert row.attempts == len(asked)


def test_a_clock_set_back_delays_nothing(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(hand.notifier, "notify", down)
        hand.queue("a")
        hand.executor.work_off()
    hand.clock.set_clock(-86_400)
    hand.clock.advance(PAUSES[0])
    assert hand.executor.work_off() == 0


def test_one_that_is_down_keeps_no_other_waiting(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    right = hand.notifier.notify

    def some(effect_id: str, *rest: str) -> None:
        if effect_id.startswith("a"):
            down()
        right(effect_id, *rest)

    monkeypatch.setattr(hand.notifier, "notify", some)
    for name in "ab":
        hand.queue(name)
    assert hand.executor.work_off() == 1
    assert hand.told() == ["b"]


@pytest.mark.parametrize(
    ("kind", "payload", "outcome"),
    [
        ("Teleport", {"to": "mars"}, "nobody performs effects of kind Teleport"),
        ("Notify", {"unexpected": 1}, "Notify failed: KeyError"),
        ("Propose", {"uid": UID, "generation": 1, "paths": [], "title": "x"}, "there is no generation 0"),
    ],
)
def test_what_cannot_be_done_ends_with_a_word(hand: Hand, kind: str, payload: Any, outcome: str) -> None:
    hand.queue("a", kind, **payload)
    hand.queue("b")
    assert hand.executor.work_off() == 0
    assert outcome in hand.outcomes()[0][1]
    assert hand.told() == ["b"]


def test_a_store_that_says_no_is_for_the_caller(hand: Hand) -> None:
    hand.queue("a")
    other = MemoryStore("fl-1", 0, hand.store._state)
    other.renew_lease("another", hand.clock.now_ms(), 30, seize=True)
    with pytest.raises(Refused, match="was taken by another"):
        hand.executor.work_off()


class TestPropose:
    def released(self, hand: Hand) -> str:
        """Two releases: of `one`, then of `two`; `added` is only in the second."""
        first = hand.remote.commit("main", {"a.yaml": b"one", "gone.yaml": b"was here"})
        second = hand.remote.commit("main", {"a.yaml": b"two", "added.yaml": b"new", "gone.yaml": None})
        hand.source.fetch()
        releases = (ReleaseRow(UID, 1, BODY, first, 0), ReleaseRow(UID, 2, digest(b"[]"), second, 0))
        hand.store.commit(Changes(releases=releases))
        paths = ["a.yaml", "added.yaml", "gone.yaml"]
        hand.queue("a", "Propose", uid=UID, generation=2, paths=paths, title="Revert it")
        return second

    def test_the_files_are_as_the_release_before_had_them(self, hand: Hand) -> None:
        head = self.released(hand)
        assert hand.executor.work_off() == 0
        tip = hand.remote.commits[hand.remote.branches[f"opsctl/{'a' * 16}"]]
        assert tip.commit.parents == (head,)
        assert {path: hand.remote.blobs[entry.oid] for path, entry in tip.tree.items()} == {
            "a.yaml": b"one",
            "gone.yaml": b"was here",
        }

    def test_it_is_offered_on_top_of_what_was_accepted(self, hand: Hand) -> None:
        """Working off the outbox never moves what is accepted: a rewritten history stays refused."""
        head = self.released(hand)
        hand.remote.branches["main"] = hand.remote.commit(None, {"other": b"1"})
        assert hand.executor.work_off() == 0
        assert hand.source.head() == head

    def test_twice_is_one_branch(self, hand: Hand) -> None:
        self.released(hand)
        hand.executor.work_off()
        before = dict(hand.remote.branches)
        hand.queue("b", "Propose", uid=UID, generation=2, paths=["a.yaml"], title="Revert it")
        hand.start()
        hand.executor.work_off()
        assert before.items() <= hand.remote.branches.items()
