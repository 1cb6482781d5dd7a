"""Whose word counts on `access/`: on a real repository with SSH signatures, and in memory."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.controller.trust import AccessTrust
from tests.controller.house import ROOT, House, small
from tests.engine.repository import operator, role

if TYPE_CHECKING:
    from tests.adapters.git.remotes import AnyRemote, Key

ROLES, OPERATORS = "access/roles.yaml", "access/operators.yaml"


class Repository:
    """A remote's main branch, and how its access files are judged; what counted last counts from then on."""

    def __init__(self, remote: AnyRemote, signers: bytes) -> None:
        self.remote = remote
        self.source = remote.source()
        self.trust = AccessTrust(self.source, signers)
        self.trusted: str | None = None

    def commit(self, files: dict[str, bytes | None], **how: Any) -> str:
        oid = self.remote.commit("main", files, **how)
        self.source.fetch(allow_rewrite=True)
        return oid

    def judged(self, commit: str) -> str:
        """The commit that counts."""
        self.trusted, self.problem = (found := self.trust.at(commit, self.trusted)).commit, found.problem
        return self.trusted


@pytest.fixture
def repository(remote: AnyRemote, key: Key) -> Repository:
    return Repository(remote, key.as_allowed_signer())


def test_the_first_commit_is_the_trust_root(repository: Repository) -> None:
    root = repository.commit({ROLES: b"1", "fleet.yaml": b"a"})
    later = repository.commit({"fleet.yaml": b"b"})
    assert repository.judged(later) == root
    assert repository.problem == ""


def test_what_leaves_access_alone_needs_no_signature(repository: Repository) -> None:
    root = repository.commit({ROLES: b"1"})
    assert repository.judged(root) == root
    assert repository.judged(repository.commit({"fleet.yaml": b"b"})) == root


def test_an_unsigned_change_does_not_count(repository: Repository) -> None:
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    change = repository.commit({ROLES: b"2"})
    assert repository.judged(change) == root
    assert repository.problem.startswith(f"changes under access/ up to {change[:12]} are not in force: ")
    assert "not signed" in repository.problem
    assert "server.yaml: accessSigners" in repository.problem


def test_a_signed_one_does(repository: Repository, key: Key) -> None:
    repository.judged(repository.commit({ROLES: b"1"}))
    change = repository.commit({ROLES: b"2"}, key=key)
    assert repository.judged(repository.commit({"fleet.yaml": b"b"})) == change
    assert repository.problem == ""


def test_one_signed_by_somebody_else_does_not(repository: Repository, other_key: Key) -> None:
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    assert repository.judged(repository.commit({ROLES: b"2"}, key=other_key)) == root
    assert "signed by another key" in repository.problem


def test_a_forged_signature_does_not(repository: Repository, key: Key) -> None:
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    assert repository.judged(repository.commit({ROLES: b"2"}, key=key, intact=False)) == root
    assert "not as it is now" in repository.problem


def test_with_nobody_listed_no_change_counts(remote: AnyRemote, key: Key) -> None:
    repository = Repository(remote, b"")
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    assert repository.judged(repository.commit({ROLES: b"2"}, key=key)) == root
    assert "none is listed" in repository.problem


def test_a_signature_on_top_does_not_cover_what_it_left_alone(repository: Repository, key: Key) -> None:
    """An access signer's ordinary commit behind somebody's change must not bring that change into force."""
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    repository.commit({ROLES: b"2"})
    assert repository.judged(repository.commit({"fleet.yaml": b"b"}, key=key)) == root


def test_a_signed_change_on_top_covers_the_whole(repository: Repository, key: Key) -> None:
    repository.judged(repository.commit({ROLES: b"1"}))
    repository.commit({ROLES: b"2"})
    change = repository.commit({OPERATORS: b"3"}, key=key)
    assert repository.judged(change) == change


def test_a_merge_counts_by_the_commit_that_it_brings(repository: Repository, key: Key) -> None:
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    change = repository.remote.commit(None, {ROLES: b"2"}, base=root, key=key)
    merge = repository.commit({ROLES: b"2"}, base=root, merged=(change,))
    assert repository.judged(merge) == change


def test_a_merge_that_mixes_is_a_change_of_its_own(repository: Repository, key: Key) -> None:
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    change = repository.remote.commit(None, {ROLES: b"2"}, base=root, key=key)
    merge = repository.commit({ROLES: b"2", OPERATORS: b"me"}, base=root, merged=(change,))
    assert repository.judged(merge) == root


@pytest.mark.parametrize("first", [True, False])
def test_what_was_left_behind_is_not_brought_back_by_an_old_signature(
    repository: Repository, key: Key, first: bool
) -> None:
    """Somebody's role was taken away; a merge, whichever way round, must not give it back."""
    root = repository.commit({ROLES: b"1"})
    old = repository.commit({ROLES: b"with somebody"}, key=key)
    new = repository.commit({ROLES: b"without"}, key=key)
    for commit in (root, old, new):
        repository.judged(commit)
    parents = {"base": old, "merged": (new,)} if first else {"base": new, "merged": (old,)}
    merge = repository.commit({ROLES: b"with somebody"}, **parents)
    assert repository.judged(merge) == new
    assert "does not come after" in repository.problem


def test_going_back_to_what_counts_is_no_problem(repository: Repository) -> None:
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    repository.judged(repository.commit({ROLES: b"2"}))
    assert repository.judged(repository.commit({ROLES: b"1"})) == root
    assert repository.problem == ""


def test_taking_everything_away_is_a_change_too(repository: Repository) -> None:
    root = repository.commit({ROLES: b"1", "fleet.yaml": b"a"})
    repository.judged(root)
    assert repository.judged(repository.commit({ROLES: None})) == root


def test_a_rewritten_history_with_the_same_files_is_as_trusted(repository: Repository) -> None:
    root = repository.commit({ROLES: b"1"})
    repository.judged(root)
    other = repository.remote.commit(None, {ROLES: b"1", "fleet.yaml": b"other"})
    repository.remote.point("main", other)
    repository.source.fetch(allow_rewrite=True)
    assert repository.judged(other) == other
    assert repository.problem == ""


class TestInForce:
    KEY = "ssh-ed25519 " + "A" * 68

    def house(self, **identity: Any) -> House:
        files = small(
            "web-1", **{ROLES: role("all", '{verbs: ["*"], nodes: ["*"]}'), OPERATORS: operator("mary", "all")}
        )
        return House(files, **identity)

    def test_the_rest_of_a_commit_moves_on(self) -> None:
        house = self.house()
        commit = house.push({OPERATORS: operator("mary") + "---\n" + operator("eve", "all"), "nodes/db-1.yaml": None})
        house.settle(70)
        assert house.status()["revision"] == commit
        assert house.world.access_revision != commit
        assert house.state.catalog.operators.keys() == {"mary"}
        (problem,) = house.status()["problems"]
        assert "none is listed" in problem
        assert problem in house.service.plan(ROOT, None, None)["warnings"]

    def test_a_signer_listed_later_brings_it_in_at_the_next_start(self) -> None:
        house = self.house()
        commit = house.push({OPERATORS: operator("eve", "all")}, signer=self.KEY)
        house.settle(70)
        assert house.state.catalog.operators.keys() == {"mary"}
        signers = f'* namespaces="git" {self.KEY}\n'.encode()
        house.identity = dataclasses.replace(house.identity, access_signers=signers)
        house.restart()
        house.settle(70)
        assert house.state.catalog.operators.keys() == {"eve"}
        assert house.world.access_revision == commit
        assert house.restart().world.access_revision == commit
        assert house.status()["problems"] == []
