"""The contract of `Source`, on a mirror of a real repository and in memory."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters.git.objects import blob_id
from reconciler.core.ports import Change, Entry
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapters.git.remotes import AnyRemote, Key

MISSING = "0123456789012345678901234567890123456789"


def entry(path: str, content: bytes) -> Entry:
    return Entry(path, blob_id(content), "100644", len(content))


class TestFetch:
    def test_an_empty_repository_has_no_commit(self, remote: AnyRemote) -> None:
        source = remote.source()
        assert source.fetch() is None
        assert source.head() is None

    def test_it_follows_the_branch(self, remote: AnyRemote) -> None:
        source = remote.source()
        first = remote.commit("main", {"fleet.yaml": b"one\n"})
        assert source.fetch() == first
        second = remote.commit("main", {"fleet.yaml": b"two\n"})
        assert source.head() == first
        assert source.fetch() == second
        assert source.fetch() == second
        assert source.head() == second

    def test_a_merge_is_followed(self, remote: AnyRemote) -> None:
        source = remote.source()
        root = remote.commit("main", {"a": b"1"})
        side = remote.commit("side", {"b": b"1"}, base=root)
        source.fetch()
        merge = remote.commit("main", {"b": b"1"}, merged=(side,))
        assert source.fetch() == merge
        assert source.commit(merge).parents == (root, side)

    @pytest.mark.parametrize("related", [True, False])
    def test_rewritten_history_is_refused_until_allowed(self, remote: AnyRemote, related: bool) -> None:
        root = remote.commit("main", {"a": b"1"}, "Root")
        old = remote.commit("main", {"a": b"2"}, "Old")
        source = remote.source()
        source.fetch()
        new = remote.commit(None, {"a": b"3"}, "New", base=root if related else None)
        remote.point("main", new)
        with pytest.raises(Refused) as refused:
            source.fetch()
        assert old in str(refused.value)
        assert new in str(refused.value)
        assert "--allow-rewrite" in refused.value.remedy
        assert source.head() == old
        assert source.read(old, ["a"]) == {"a": b"2"}
        assert source.fetch(allow_rewrite=True) == new
        assert source.fetch() == new

    def test_a_branch_that_vanished_deletes_nothing(self, remote: AnyRemote) -> None:
        tip = remote.commit("main", {"a": b"1"})
        source = remote.source()
        source.fetch()
        remote.point("main", None)
        with pytest.raises(Refused, match=tip):
            source.fetch()
        assert source.head() == tip
        remote.point("main", tip)
        assert source.fetch() == tip

    def test_a_branch_that_was_never_there_is_named(self, remote: AnyRemote) -> None:
        remote.commit("trunk", {"a": b"1"})
        with pytest.raises(Refused, match="trunk"):
            remote.source().fetch()

    def test_a_remote_that_is_down_is_tried_again(self, remote: AnyRemote) -> None:
        tip = remote.commit("main", {"a": b"1"})
        source = remote.source()
        source.fetch()
        remote.set_down(True)
        with pytest.raises(Unavailable) as unavailable:
            source.fetch()
        assert unavailable.value.why
        assert source.head() == tip
        assert source.read(tip, ["a"]) == {"a": b"1"}
        remote.set_down(False)
        assert source.fetch() == tip

    def test_what_opsctl_commits_is_never_config(self, remote: AnyRemote) -> None:
        tip = remote.commit("main", {"a": b"1"})
        source = remote.source()
        source.fetch()
        remote.reports().write({"nodes/aa/web-1.yaml": b"ok\n"}, "Report", at=1000, instance="i")
        remote.proposals().propose("opsctl/0a", tip, {"a": b"2"}, "Propose", at=1000)
        assert source.fetch() == tip
        tip = remote.commit("main", {"a": b"3"})
        assert source.fetch() == tip
        for branch in ("compliance", "opsctl/0a"):
            with pytest.raises(Refused):
                source.resolve(branch)
            with pytest.raises(Refused, match="never read as config"):
                remote.source(branch)

    def test_with_nothing_but_reports_it_is_empty(self, remote: AnyRemote) -> None:
        remote.reports().write({"summary.yaml": b"{}\n"}, "Report", at=1000, instance="i")
        assert remote.source().fetch() is None


class TestNames:
    def test_branches_and_ids_resolve(self, remote: AnyRemote) -> None:
        first = remote.commit("main", {"a": b"1"})
        tip = remote.commit("main", {"a": b"2"})
        side = remote.commit("change-motd", {"a": b"3"}, base=first)
        source = remote.source()
        source.fetch()
        assert source.resolve("main") == source.resolve("HEAD") == tip
        assert source.resolve("change-motd") == side
        assert source.resolve(first) == first

    def test_the_tracked_branch_means_what_was_accepted(self, remote: AnyRemote) -> None:
        old = remote.commit("main", {"a": b"1"})
        source = remote.source()
        source.fetch()
        remote.point("main", remote.commit(None, {"a": b"2"}))
        with pytest.raises(Refused):
            source.fetch()
        assert source.resolve("main") == old

    def test_a_wrong_name_suggests_the_nearest(self, remote: AnyRemote) -> None:
        remote.commit("main", {"a": b"1"})
        remote.commit("change-motd", {"a": b"1"})
        source = remote.source()
        source.fetch()
        with pytest.raises(Refused, match="change-motd"):
            source.resolve("chnage-motd")

    @pytest.mark.parametrize(
        "rev", ["", "--all", "-n1", "main\nHEAD", "main\0", "a" * 5000, MISSING, "../x", "a b", "main:a", "\udc80"]
    )
    def test_what_names_no_commit_is_refused(self, remote: AnyRemote, rev: str) -> None:
        tip = remote.commit("main", {"a": b"1"})
        source = remote.source()
        source.fetch()
        with pytest.raises(Refused):
            source.resolve(rev)
        assert source.resolve("main") == tip


class TestHistory:
    def test_a_commit_is_quoted_as_people_do(self, remote: AnyRemote) -> None:
        root = remote.commit("main", {"a": b"1"})
        message = "Réduce the\nload\n\nBecause of the cat.\n"
        tip = remote.commit("main", {"a": b"2"}, message, at=1_700_000_000_000, author="Zoë Ö <zoe@example.com>")
        source = remote.source()
        source.fetch()
        commit = source.commit(tip)
        assert (commit.oid, commit.parents, commit.author) == (tip, (root,), "Zoë Ö <zoe@example.com>")
        assert (commit.at, commit.subject) == (1_700_000_000_000, "Réduce the load")

    def test_first_parents_leave_merged_branches_aside(self, remote: AnyRemote) -> None:
        root = remote.commit("main", {"a": b"1"})
        side = remote.commit("side", {"b": b"1"}, base=root)
        second = remote.commit("main", {"a": b"2"})
        merge = remote.commit("main", {"b": b"1"}, merged=(side,))
        source = remote.source()
        source.fetch()
        assert [commit.oid for commit in source.first_parents(merge, 10)] == [merge, second, root]
        assert [commit.oid for commit in source.first_parents(merge, 2)] == [merge, second]
        assert list(source.first_parents(merge, 0)) == []

    def test_ancestry(self, remote: AnyRemote) -> None:
        root = remote.commit("main", {"a": b"1"})
        side = remote.commit("side", {"b": b"1"}, base=root)
        tip = remote.commit("main", {"a": b"2"})
        source = remote.source()
        source.fetch()
        assert source.is_ancestor(root, tip)
        assert source.is_ancestor(tip, tip)
        assert not source.is_ancestor(tip, root)
        assert not source.is_ancestor(side, tip)
        with pytest.raises(Unavailable):
            source.is_ancestor(MISSING, tip)

    def test_the_last_change_of_a_line(self, remote: AnyRemote) -> None:
        first = remote.commit("main", {"motd": b"one\ntwo\nthree\n", "b": b"1"}, "First")
        second = remote.commit("main", {"motd": b"zero\none\n2\nthree\n"}, "Second")
        tip = remote.commit("main", {"b": b"2"}, "Third")
        source = remote.source()
        source.fetch()
        authors = [source.last_change(tip, "motd", line).oid for line in (1, 2, 3, 4)]
        assert source.lines_written(tip, "motd")[:4] == authors
        assert authors == [second, first, second, first]
        assert source.last_change(tip, "motd", 0).oid == second
        assert source.last_change(first, "motd", 2).oid == first
        assert source.last_change(tip, "b", 1).subject == "Third"

    @pytest.mark.parametrize(("path", "line"), [("motd", 2), ("absent", 1), ("absent", 0)])
    def test_a_line_that_is_not_there(self, remote: AnyRemote, path: str, line: int) -> None:
        tip = remote.commit("main", {"motd": b"one\n"})
        source = remote.source()
        source.fetch()
        with pytest.raises(Refused, match=path):
            source.last_change(tip, path, line)

    def test_unknown_commits(self, remote: AnyRemote) -> None:
        tip = remote.commit("main", {"a": b"1"})
        source = remote.source()
        source.fetch()
        for ask in (
            lambda: source.commit(MISSING),
            lambda: source.tree(MISSING),
            lambda: source.changes(tip, MISSING),
            lambda: source.signature(MISSING, b""),
            lambda: source.last_change(MISSING, "a", 0),
            lambda: source.last_change(MISSING, "a", 1),
            lambda: list(source.first_parents(MISSING, 1)),
        ):
            with pytest.raises(Unavailable):
                ask()


class TestFiles:
    def test_a_tree_holds_every_file_sorted_by_path(self, remote: AnyRemote) -> None:
        files = {"z.yaml": b"", "a b/ü.yaml": b"1", 'a b/"q".yaml': b"22", "a b.yaml": b"x", "nodes/web.yaml": b"333"}
        tip = remote.commit("main", files)
        source = remote.source()
        source.fetch()
        assert list(source.tree(tip).items()) == [(path, entry(path, files[path])) for path in sorted(files)]

    def test_changes_between_commits(self, remote: AnyRemote) -> None:
        old = remote.commit("main", {"keep": b"1", "edit": b"1", "drop/x": b"1"})
        new = remote.commit("main", {"edit": b"22", "drop/x": None, "add": b"1"})
        source = remote.source()
        source.fetch()
        assert source.changes(old, new) == [
            Change("add", None, entry("add", b"1")),
            Change("drop/x", entry("drop/x", b"1"), None),
            Change("edit", entry("edit", b"1"), entry("edit", b"22")),
        ]
        assert source.changes(new, new) == []
        assert [change.path for change in source.changes(None, new)] == ["add", "edit", "keep"]
        assert {change.old for change in source.changes(None, new)} == {None}
        assert [(change.new, change.old) for change in source.changes(old, new)] == [
            (change.old, change.new) for change in source.changes(new, old)
        ]

    def test_commits_touching_a_folder(self, remote: AnyRemote) -> None:
        first = remote.commit("main", {"kept/x": b"1", "other": b"1"})
        remote.commit("main", {"other": b"2", "keptx": b"1"})
        second = remote.commit("main", {"kept/x": b"22", "kept/new\nline": b"3", "other": b"3"})
        third = remote.commit("main", {"kept/x": None})
        source = remote.source()
        source.fetch()
        found = source.touching(third, "kept/")
        assert [commit.oid for commit, _ in found] == [first, second, third]
        assert [changes for _, changes in found] == [
            [Change("kept/x", None, entry("kept/x", b"1"))],
            [
                Change("kept/new\nline", None, entry("kept/new\nline", b"3")),
                Change("kept/x", entry("kept/x", b"1"), entry("kept/x", b"22")),
            ],
            [Change("kept/x", entry("kept/x", b"22"), None)],
        ]
        assert [commit.oid for commit, _ in source.touching(third, "kept/", second)] == [third]
        assert source.touching(third, "kept/", third) == []
        assert source.touching(third, "nothing/") == []

    def test_a_file_may_become_a_folder(self, remote: AnyRemote) -> None:
        old = remote.commit("main", {"a": b"1"})
        new = remote.commit("main", {"a": None, "a/b": b"1"})
        source = remote.source()
        source.fetch()
        source.tree(old)
        assert list(source.tree(new)) == ["a/b"]

    def test_a_tree_is_the_same_however_it_was_reached(self, remote: AnyRemote) -> None:
        draw = random.Random(7)
        commits = []
        held: set[str] = set()
        for number in range(25):
            edits: dict[str, bytes | None] = {}
            for _ in range(3):
                path = f"{draw.choice('abc')}/{draw.randrange(5)}/{draw.randrange(3)}"
                edits[path] = None if path in held and draw.random() < 0.4 else b"%d" % number
            held = (held | edits.keys()) - {path for path, content in edits.items() if content is None}
            commits.append(remote.commit("main", edits))
        source = remote.source()
        source.fetch()
        draw.shuffle(commits)
        for oid in commits:
            expected = {path: entry(path, content) for path, content in remote.files(oid).items()}
            assert list(source.tree(oid).items()) == sorted(expected.items())

    def test_contents_by_id(self, remote: AnyRemote) -> None:
        contents = [b"", b"\n", b"no newline", b"\0\xff" * 50_000, b"1 blob 2\nmissing\n"]
        remote.commit("main", {f"f{number}": content for number, content in enumerate(contents)})
        source = remote.source()
        source.fetch()
        ids = [blob_id(content) for content in contents]
        assert source.blobs([*ids, ids[0]]) == dict(zip(ids, contents, strict=True))
        assert source.blobs([]) == {}
        with pytest.raises(Unavailable, match=MISSING):
            source.blobs([ids[0], MISSING])
        assert source.blobs(ids[:1]) == {ids[0]: b""}

    def test_many_contents_in_one_batch(self, remote: AnyRemote) -> None:
        files = {f"nodes/{number}.yaml": b"number: %d\n" % number for number in range(450)}
        tip = remote.commit("main", files)
        source = remote.source()
        source.fetch()
        assert source.read(tip, ["nodes/"]) == files

    def test_reading_by_path(self, remote: AnyRemote) -> None:
        tip = remote.commit("main", {"fleet.yaml": b"f", "nodes/a": b"a", "nodes/b/c": b"c", "nodes.md": b"m"})
        source = remote.source()
        source.fetch()
        assert source.read(tip, ["fleet.yaml", "absent"]) == {"fleet.yaml": b"f"}
        assert source.read(tip, ["nodes/"]) == {"nodes/a": b"a", "nodes/b/c": b"c"}
        assert source.read(tip, ["nodes", "nodes/b"]) == {}
        assert source.read(tip, []) == {}


class TestSignature:
    def test_verdicts(self, remote: AnyRemote, make_key: Callable[[str], Key]) -> None:
        listed, unlisted = make_key("listed"), make_key("unlisted")
        source = remote.source()
        commits = {
            "unsigned": remote.commit("main", {"a": b"0"}),
            "good": remote.commit("main", {"a": b"1"}, "By a listed key", key=listed),
            "unlisted": remote.commit("main", {"a": b"2"}, "By another key", key=unlisted),
            "bad": remote.commit("main", {"a": b"3"}, "Forged", key=listed, intact=False),
        }
        source.fetch()
        signers = listed.as_allowed_signer()
        assert {oid: source.signature(oid, signers) for oid in commits.values()} == {
            oid: expected for expected, oid in commits.items()
        }
        assert source.signature(commits["good"], b"") == "unlisted"
        assert source.signature(commits["good"], signers + unlisted.as_allowed_signer()) == "good"
