"""The contract of `ReportBranch`, on a real repository and in memory; then what only a real one can do to it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from reconciler.core.problem import Defect, Refused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.adapters.git.remotes import AnyRemote, RealRemote

AT = 1_700_000_000_000
WEB, DB, SUMMARY = "nodes/aa/web-1.yaml", "nodes/bb/db-1.yaml", "summary.yaml"


class TestWriting:
    def test_the_first_commit_makes_the_branch(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        assert reports.tip() is None
        assert reports.read([WEB]) == {}
        assert reports.paths() == frozenset()
        message = "2 nodes compliant\n\nweb-1 and db-1 reported for the first time."
        oid = reports.write({WEB: b"ok\n", DB: b"ok\n"}, message, at=AT, instance="one")
        assert oid == reports.tip() == remote.tip("compliance")
        assert remote.files(str(oid)) == {WEB: b"ok\n", DB: b"ok\n"}
        assert remote.parents(str(oid)) == ()
        assert remote.message(str(oid)).strip() == (
            "2 nodes compliant [skip ci]\n\nweb-1 and db-1 reported for the first time.\n\nOpsctl-Instance: one"
        )

    def test_only_what_changed_is_committed(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        first = reports.write({WEB: b"ok\n", DB: b"ok\n"}, "First", at=AT, instance="one")
        second = reports.write({WEB: b"bad\n", DB: b"ok\n", "new": b"1"}, "Second", at=AT + 1000, instance="one")
        third = reports.write({DB: None, "absent": None}, "Third", at=AT + 2000, instance="one")
        assert remote.parents(str(second)) == (first,)
        assert remote.files(str(second)) == {WEB: b"bad\n", DB: b"ok\n", "new": b"1"}
        assert remote.files(str(third)) == {WEB: b"bad\n", "new": b"1"}
        assert reports.paths() == remote.reports().paths() == {WEB, "new"}

    def test_nothing_new_makes_no_commit(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        assert reports.write({}, "Nothing", at=AT, instance="one") is None
        assert reports.write({WEB: None}, "Nothing", at=AT, instance="one") is None
        tip = reports.write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        assert reports.write({WEB: b"ok\n", "absent": None}, "Again", at=AT + 1000, instance="one") is None
        assert remote.tip("compliance") == tip

    def test_a_file_may_give_way_to_a_folder(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        reports.write({"nodes": b"list\n"}, "First", at=AT, instance="one")
        oid = reports.write({WEB: b"ok\n", "nodes": None}, "Second", at=AT, instance="one")
        assert remote.files(str(oid)) == {WEB: b"ok\n"}

    def test_odd_names_and_contents(self, remote: AnyRemote) -> None:
        files = {'a "quoted"\\name': b"", "tab\tand\nline": b"\0\xff\n", "nodes/ü.yaml": b"data 3\nM 100644 inline x\n"}
        oid = remote.reports().write(dict(files), "Odd — names", at=AT, instance="one")
        assert remote.files(str(oid)) == files

    def test_reading_back(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        reports.write({WEB: b"ok\n", DB: b"ok\n"}, "First", at=AT, instance="one")
        remote.commit("compliance", {DB: b"edited\n"}, "Annotate db-1")
        assert reports.read([WEB, DB, "absent"]) == {WEB: b"ok\n", DB: b"edited\n"}

    def test_a_remote_that_is_down_loses_nothing(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        reports.write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        remote.set_down(True)
        for ask in (
            lambda: reports.write({WEB: b"bad\n"}, "Second", at=AT, instance="one"),
            reports.tip,
            lambda: reports.read([WEB]),
        ):
            with pytest.raises(Unavailable):
                ask()
        remote.set_down(False)
        oid = reports.write({WEB: b"bad\n"}, "Second", at=AT, instance="one")
        assert remote.files(str(oid)) == {WEB: b"bad\n"}


class TestOtherWriters:
    def test_a_persons_commit_is_built_upon(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        reports.write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        note = remote.commit("compliance", {"NOTES.md": b"db-1 is being replaced\n"}, "Note for the auditors")
        oid = reports.write({DB: b"bad\n"}, "Second", at=AT, instance="one")
        assert remote.parents(str(oid)) == (note,)
        assert remote.files(str(oid)) == {WEB: b"ok\n", DB: b"bad\n", "NOTES.md": b"db-1 is being replaced\n"}

    def test_what_a_person_already_wrote_makes_no_commit(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        reports.write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        tip = remote.commit("compliance", {WEB: b"bad\n"}, "By hand")
        assert reports.write({WEB: b"bad\n"}, "Second", at=AT, instance="one") is None
        assert remote.tip("compliance") == tip
        oid = reports.write({WEB: b"ok\n"}, "Third", at=AT, instance="one")
        assert remote.parents(str(oid)) == (tip,)

    def test_another_instance_is_refused_and_its_branch_left_alone(self, remote: AnyRemote) -> None:
        one, two = remote.reports(), remote.reports()
        one.write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        with pytest.raises(Refused) as refused:
            two.write({WEB: b"bad\n"}, "Usurp", at=AT, instance="two")
        assert "'one'" in str(refused.value)
        assert "'two'" in str(refused.value)
        tip = remote.commit("compliance", {}, "Take over\n\nOpsctl-Instance: two\n")
        with pytest.raises(Refused):
            one.write({WEB: b"bad\n"}, "Second", at=AT, instance="one")
        assert remote.tip("compliance") == tip

    def test_a_persons_commit_hands_the_branch_over(self, remote: AnyRemote) -> None:
        remote.reports().write({WEB: b"ok\n"}, "First", at=AT, instance="gone")
        handover = remote.commit("compliance", {}, "Instance gone is retired")
        oid = remote.reports().write({DB: b"ok\n"}, "Second", at=AT, instance="new")
        assert remote.parents(str(oid)) == (handover,)
        assert remote.files(str(oid)) == {WEB: b"ok\n", DB: b"ok\n"}

    def test_the_same_instance_carries_on_without_its_state(self, remote: AnyRemote) -> None:
        first = remote.reports().write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        fresh = remote.reports()
        assert fresh.write({WEB: b"ok\n"}, "Again", at=AT, instance="one") is None
        oid = fresh.write({DB: b"ok\n"}, "Second", at=AT, instance="one")
        assert remote.parents(str(oid)) == (first,)

    def test_two_hands_of_one_instance_take_turns(self, remote: AnyRemote) -> None:
        hands = [remote.reports(), remote.reports()]
        for number in range(6):
            hands[number % 2].write({f"nodes/{number}": b"ok\n"}, f"Report {number}", at=AT, instance="one")
        assert sorted(remote.files(str(remote.tip("compliance")))) == [f"nodes/{number}" for number in range(6)]

    def test_a_deleted_branch_is_put_back_whole(self, remote: AnyRemote) -> None:
        reports = remote.reports()
        reports.write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        remote.point("compliance", None)
        oid = reports.write({DB: b"ok\n"}, "Second", at=AT, instance="one")
        assert remote.tip("compliance") == oid
        assert remote.files(str(oid)) == {WEB: b"ok\n", DB: b"ok\n"}


def hook(remote: RealRemote, name: str, script: str) -> None:
    path = remote.path / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


class TestRealRemotes:
    def test_the_remotes_own_words_when_it_declines(self, real: RealRemote) -> None:
        hook(real, "pre-receive", "echo 'branch compliance is protected' >&2; exit 1")
        with pytest.raises(Refused, match="branch compliance is protected"):
            real.reports().write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        assert real.tip("compliance") is None

    def test_a_branch_that_never_stands_still(self, real: RealRemote) -> None:
        """The remote's hook commits during each push, so that it always comes too late."""
        reports = real.reports()
        reports.write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        hook(
            real,
            "pre-receive",
            "unset GIT_QUARANTINE_PATH\n"
            "tip=$(git rev-parse refs/heads/compliance)\n"
            "new=$(echo Busy | git commit-tree -p $tip $tip^{tree})\n"
            "git update-ref refs/heads/compliance $new",
        )
        real.git("config", "user.name", "Busy")
        real.git("config", "user.email", "busy@example.com")
        with pytest.raises(Unavailable, match="twice"):
            reports.write({WEB: b"bad\n"}, "Second", at=AT, instance="one")
        (real.path / "hooks" / "pre-receive").unlink()
        oid = reports.write({WEB: b"bad\n"}, "Third", at=AT, instance="one")
        assert real.files(str(oid)) == {WEB: b"bad\n"}

    def test_a_push_whose_answer_was_lost_counts(self, real: RealRemote) -> None:
        """The connection breaks after the branch has moved."""
        hook(real, "post-receive", "kill -9 $(ps -o ppid= -p $$)")
        oid = real.reports().write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        assert oid is not None
        assert real.tip("compliance") == oid

    @pytest.mark.parametrize("damage", ["packs", "ref", "head", "everything"])
    def test_a_damaged_copy_is_fetched_anew(self, real: RealRemote, tmp_path: Path, damage: str) -> None:
        reports = real.reports()
        first = reports.write({WEB: b"ok\n"}, "First", at=AT, instance="one")
        reports.close()
        copy = tmp_path / "state" / "reports-0"
        for path in {
            "packs": [*copy.glob("objects/pack/*.pack")],
            "ref": [copy / "refs/heads/compliance"],
            "head": [copy / "HEAD"],
            "everything": [path for path in copy.rglob("*") if path.is_file()],
        }[damage]:
            path.chmod(0o600)
            path.write_bytes(b"")
        real.opened.clear()
        again = real.reports()
        oid = again.write({DB: b"ok\n"}, "Second", at=AT, instance="one")
        assert real.parents(str(oid)) == (first,)
        assert real.files(str(oid)) == {WEB: b"ok\n", DB: b"ok\n"}

    def test_packs_stay_few(self, real: RealRemote, tmp_path: Path) -> None:
        reports = real.reports()
        for number in range(60):
            reports.write({f"nodes/{number % 7}": b"%d\n" % number}, f"Report {number}", at=AT, instance="one")
        copy = tmp_path / "state" / "reports-0"
        assert len(list(copy.glob("objects/pack/*.pack"))) <= 25
        assert not list(copy.glob("objects/[0-9a-f][0-9a-f]/*"))
        assert subprocess.run(["git", "-C", str(copy), "fsck", "--strict"], check=False).returncode == 0

    def test_dates_are_the_ones_given(self, real: RealRemote) -> None:
        oid = real.reports().write({WEB: b"ok\n"}, "First", at=AT + 999, instance="one")
        assert real.git("show", "-s", "--format=%at %ct %an", str(oid)).split() == [b"1700000000"] * 2 + [b"opsctl"]

    @pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", ".git/config", "a//b", ""])
    def test_paths_that_no_tree_holds(self, real: RealRemote, path: str) -> None:
        with pytest.raises(Defect):
            real.reports().write({path: b"x"}, "Odd", at=AT, instance="one")
        assert real.tip("compliance") is None
