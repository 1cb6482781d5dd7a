"""Who moves the revision: commits by themselves, or people; and what the remote may do without anything being lost."""

from __future__ import annotations

import pytest

from reconciler.core.problem import Refused, Unavailable, Waiting
from tests.controller.house import MANUAL, ROOT, House, small
from tests.engine.repository import DOCUMENT, FLEET

BASE = "Association/base"
CHANGED = DOCUMENT.replace("hello", "changed")


class TestAuto:
    def test_a_commit_comes_into_force_at_the_next_look(self) -> None:
        house = House(small("web-1"))
        commit = house.push({"documents/motd.yaml": CHANGED})
        house.tick(59)
        assert house.status()["revision"] != commit
        house.tick(2)
        assert house.status()["revision"] == commit

    def test_a_hook_hurries_it(self) -> None:
        house = House(small("web-1"))
        commit = house.push({"documents/motd.yaml": CHANGED})
        house.controller.pushed()
        house.tick(1)
        assert house.status()["revision"] == commit

    def test_apply_syncs_now(self) -> None:
        house = House(small("web-1"))
        commit = house.push({"documents/motd.yaml": CHANGED})
        assert house.apply()["commit"] == commit
        assert house.status()["revision"] == commit

    def test_a_revision_behind_the_head_would_be_left_again(self) -> None:
        house = House(small("web-1"))
        first = house.status()["head"]
        house.push({"documents/motd.yaml": CHANGED})
        with pytest.raises(Refused, match=r"behind the head.*sync: auto.*revert it in Git"):
            house.apply(first)

    def test_the_clock_may_be_set_without_a_look_being_missed(self) -> None:
        house = House(small("web-1"))
        house.timer.set_clock(-86_400)
        commit = house.push({"documents/motd.yaml": CHANGED})
        house.tick(61)
        assert house.status()["revision"] == commit
        house.timer.set_clock(10 * 86_400)
        house.tick(61)
        assert house.status()["problems"] == []


class TestManual:
    def test_nothing_moves_until_an_apply(self) -> None:
        house = House(small("web-1", fleet=MANUAL))
        first = house.apply()["commit"]
        second = house.push({"documents/motd.yaml": CHANGED})
        house.join("web-1")
        house.settle(70)
        assert (house.status()["revision"], house.status()["head"]) == (first, second)
        assert house.apply()["commit"] == second

    def test_any_commit_of_the_tracked_branch_may_be_applied(self) -> None:
        house = House(small("web-1", fleet=MANUAL))
        first = house.apply()["commit"]
        house.push({"documents/motd.yaml": CHANGED})
        house.apply()
        assert house.apply(first)["commit"] == first
        house.settle(70)
        assert house.status()["revision"] == first

    def test_no_other_one_may(self) -> None:
        house = House(small("web-1", fleet=MANUAL))
        head = house.status()["head"]
        branch = house.remote.commit("feature", {"documents/motd.yaml": CHANGED.encode()}, base=head)
        with pytest.raises(Refused, match="is not on the tracked branch"):
            house.apply(branch)
        with pytest.raises(Refused, match="names no commit"):
            house.apply("nonsense")

    def test_what_is_in_force_says_manual_until_a_person_applies_otherwise(self) -> None:
        house = House(small("web-1", fleet=MANUAL))
        first = house.apply()["commit"]
        automatic = house.push({"fleet.yaml": FLEET})
        house.settle(70)
        assert (house.status()["revision"], house.status()["sync"]) == (first, "manual")
        house.apply()
        assert (house.status()["revision"], house.status()["sync"]) == (automatic, "auto")
        after = house.push({"documents/motd.yaml": CHANGED})
        house.settle(70)
        assert house.status()["revision"] == after

    def test_a_commit_that_says_manual_waits_already(self) -> None:
        house = House(small("web-1"))
        before = house.status()["revision"]
        house.push({"fleet.yaml": MANUAL, "documents/motd.yaml": CHANGED})
        house.settle(70)
        assert (house.status()["revision"], house.status()["sync"]) == (before, "manual")

    def test_a_known_commit_may_be_applied_while_the_remote_is_down(self) -> None:
        house = House(small("web-1", fleet=MANUAL))
        head = house.status()["head"]
        house.remote.down = "no route"
        with pytest.raises(Unavailable, match="no route"):
            house.apply()
        assert house.apply(head)["commit"] == head


class TestRemote:
    def test_an_empty_one_waits_for_its_first_commit(self) -> None:
        house = House()
        assert house.status()["problems"] == ["the repository has no commits on the tracked branch yet"]
        for ask in (
            lambda: house.service.plan(ROOT, None, None),
            lambda: house.apply(),
            lambda: house.service.conditions(ROOT),
            lambda: house.service.explain(ROOT, "web-1", None),
        ):
            with pytest.raises(Waiting):
                ask()
        (web,) = house.join("web-1")
        house.push(small("web-1"))
        house.tick(6)
        assert BASE in web.given
        assert house.status()["problems"] == []

    def test_a_rewritten_history_changes_nothing(self) -> None:
        house = House(small("web-1"))
        (web,) = house.join("web-1")
        before = house.status()["revision"]
        house.remote.branches["main"] = house.remote.commit(None, {"fleet.yaml": FLEET.encode()})
        house.settle(70)
        assert house.status()["revision"] == before
        assert "was rewritten" in house.status()["problems"][0]
        assert BASE in web.given
        with pytest.raises(Refused, match="was rewritten"):
            house.apply()
        house.remote.branches["main"] = before
        house.settle(70)
        assert house.status()["problems"] == []

    def test_the_repository_itself_may_allow_it(self) -> None:
        house = House(small("web-1", fleet=FLEET + "spec: {allowRewrite: true}\n"))
        other = house.remote.commit(None, {path: text.encode() for path, text in small("web-1").items()})
        house.remote.branches["main"] = other
        house.settle(70)
        assert house.status()["revision"] == other

    def test_a_broken_file_holds_only_itself(self) -> None:
        house = House(small("web-1"))
        (web,) = house.join("web-1")
        broken = house.push({"associations/base.yaml": "kind: [", "fleet.yaml": FLEET + "spec: {maxRemovals: 50}\n"})
        house.settle(70)
        assert house.status()["revision"] == broken
        assert BASE in web.given
        assert [found["uid"] for found in house.service.conditions(ROOT)] == ["associations/base.yaml", BASE]


def test_one_who_fetched_earlier_never_takes_back_what_was_fetched_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads refresh at once; the one that got the older head is the slower one."""
    import threading

    house = House(small("web-1"))
    fetching, go_on = threading.Event(), threading.Event()
    right = house.source.fetch

    def slow(*, allow_rewrite: bool = False) -> str | None:
        head = right(allow_rewrite=allow_rewrite)
        if threading.current_thread().name == "slow":
            fetching.set()
            assert go_on.wait(10)
        return head

    monkeypatch.setattr(house.source, "fetch", slow)
    first = threading.Thread(target=lambda: house.service.sync(ROOT), name="slow")
    first.start()
    assert fetching.wait(10)
    newest = house.push({"documents/motd.yaml": CHANGED})
    second = threading.Thread(target=lambda: house.service.sync(ROOT))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert house.status()["revision"] == newest
