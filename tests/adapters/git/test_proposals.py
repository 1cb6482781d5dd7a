"""The contract of `Proposals`, on a real repository and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from tests.adapters.git.remotes import AnyRemote, RealRemote

MISSING = "0123456789012345678901234567890123456789"


def start(remote: AnyRemote) -> str:
    tip = remote.commit("main", {"fleet.yaml": b"# kept\nfleet: 1\n", "nodes/web": b"1"})
    remote.source().fetch()
    return tip


def test_a_proposal_is_a_commit_on_a_branch_of_its_own(remote: AnyRemote) -> None:
    base = start(remote)
    oid = remote.proposals().propose(
        "opsctl/0af3", base, {"nodes/web": None, "nodes/db": b"2"}, "Revert the wave", at=1000
    )
    assert remote.tip("opsctl/0af3") == oid
    assert remote.tip("main") == base
    assert remote.parents(oid) == (base,)
    assert remote.files(oid) == {"fleet.yaml": b"# kept\nfleet: 1\n", "nodes/db": b"2"}
    assert remote.message(oid).strip() == "Revert the wave"


def test_proposing_again_changes_nothing(remote: AnyRemote) -> None:
    base = start(remote)
    proposals = remote.proposals()
    oid = proposals.propose("opsctl/0af3", base, {"nodes/web": b"2"}, "Revert", at=1000)
    assert proposals.propose("opsctl/0af3", base, {"nodes/web": b"3"}, "Otherwise", at=2000) == oid
    reviewed = remote.commit("opsctl/0af3", {"nodes/web": b"4"}, "As the reviewer prefers")
    assert remote.proposals().propose("opsctl/0af3", base, {"nodes/web": b"2"}, "Revert", at=1000) in (oid, reviewed)
    assert remote.tip("opsctl/0af3") == reviewed


def test_a_branch_that_is_there_already_stays(remote: AnyRemote) -> None:
    base = start(remote)
    there = remote.commit("opsctl/0af3", {"nodes/web": b"4"}, "From before the state was lost", base=base)
    assert remote.proposals().propose("opsctl/0af3", base, {"nodes/web": b"2"}, "Revert", at=1000) == there


def test_a_branch_merged_and_deleted_is_not_proposed_again(remote: AnyRemote) -> None:
    base = start(remote)
    proposals = remote.proposals()
    oid = proposals.propose("opsctl/0af3", base, {"nodes/web": b"2"}, "Revert", at=1000)
    remote.point("opsctl/0af3", None)
    assert proposals.propose("opsctl/0af3", base, {"nodes/web": b"2"}, "Revert", at=1000) == oid
    assert remote.tip("opsctl/0af3") is None


def test_a_proposal_that_changes_nothing(remote: AnyRemote) -> None:
    base = start(remote)
    with pytest.raises(Refused, match="changes nothing"):
        remote.proposals().propose("opsctl/0af3", base, {"nodes/web": b"1", "absent": None}, "Nothing", at=1000)
    assert remote.tip("opsctl/0af3") is None


@pytest.mark.parametrize("branch", ["main", "compliance", "opsctl", "opsctl/", "opsctl/a b", "opsctl/../main", "-x"])
def test_only_branches_of_its_own(remote: AnyRemote, branch: str) -> None:
    base = start(remote)
    with pytest.raises(Refused):
        remote.proposals().propose(branch, base, {"nodes/web": b"2"}, "Revert", at=1000)
    assert remote.tip("main") == base


def test_what_cannot_be_reached(remote: AnyRemote) -> None:
    base = start(remote)
    with pytest.raises(Unavailable):
        remote.proposals().propose("opsctl/0af3", MISSING, {"nodes/web": b"2"}, "Revert", at=1000)
    remote.set_down(True)
    with pytest.raises(Unavailable):
        remote.proposals().propose("opsctl/0af3", base, {"nodes/web": b"2"}, "Revert", at=1000)
    remote.set_down(False)
    assert remote.proposals().propose("opsctl/0af3", base, {"nodes/web": b"2"}, "Revert", at=1000)


def test_a_files_mode_is_kept(real: RealRemote) -> None:
    base = start(real)
    blob = real.git("hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\n").decode().strip()
    tree = real.git("mktree", stdin=f"100755 blob {blob}\trun.sh\n".encode()).decode().strip()
    base = real.git("commit-tree", "-p", base, "-m", "Script", tree).decode().strip()
    real.point("main", base)
    real.source().fetch()
    oid = real.proposals().propose("opsctl/0af3", base, {"run.sh": b"#!/bin/sh\ntrue\n"}, "Revert", at=1000)
    assert real.git("ls-tree", oid).startswith(b"100755 blob")


def test_the_same_proposal_is_the_same_commit(real: RealRemote) -> None:
    base = start(real)
    oid = real.proposals().propose("opsctl/0af3", base, {"nodes/web": b"2"}, "Revert", at=1000)
    real.point("opsctl/0af3", None)
    assert real.proposals().propose("opsctl/0af4", base, {"nodes/web": b"2"}, "Revert", at=1000) == oid
