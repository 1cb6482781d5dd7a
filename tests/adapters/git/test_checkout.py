"""A person's working directory: HEAD as a source, and the files as they lie there."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters.git import Checkout, Worktree, checkout
from reconciler.core.problem import Refused
from tests.adapters.git.remotes import environment

if TYPE_CHECKING:
    from pathlib import Path


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, env=environment(), capture_output=True, text=True).stdout.strip()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A repository with one commit of `fleet.yaml` and `nodes/web.yaml`, and `*.tmp` ignored."""
    path = tmp_path / "config"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / "fleet.yaml").write_text("fleet: 1\n")
    (path / "nodes").mkdir()
    (path / "nodes" / "web.yaml").write_text("node: web\n")
    (path / ".gitignore").write_text("*.tmp\n")
    git(path, "add", ".")
    git(path, "commit", "-qm", "First")
    return path


class TestCheckout:
    def test_head_is_what_it_tracks(self, directory: Path) -> None:
        with Checkout(directory) as source:
            head = git(directory, "rev-parse", "HEAD")
            assert source.fetch() == source.head() == source.resolve("main") == head
            (directory / "fleet.yaml").write_text("fleet: 2\n")
            assert source.read(head, ["fleet.yaml"]) == {"fleet.yaml": b"fleet: 1\n"}
            git(directory, "commit", "-qam", "Second")
            assert source.fetch() == git(directory, "rev-parse", "HEAD") != head
            assert source.last_change(str(source.head()), "fleet.yaml", 1).subject == "Second"

    def test_a_detached_head(self, directory: Path) -> None:
        first = git(directory, "rev-parse", "HEAD")
        git(directory, "commit", "-q", "--allow-empty", "-m", "Second")
        git(directory, "checkout", "-q", "--detach", first)
        with Checkout(directory) as source:
            assert source.fetch() == first

    def test_a_bare_repository(self, directory: Path, tmp_path: Path) -> None:
        git(tmp_path, "clone", "-q", "--bare", str(directory), str(tmp_path / "bare.git"))
        with Checkout(tmp_path / "bare.git") as source:
            assert source.fetch() == git(directory, "rev-parse", "HEAD")
            assert source.uncommitted() == []

    def test_before_the_first_commit(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "-q")
        with Checkout(tmp_path) as source:
            assert source.fetch() is None

    def test_a_linked_work_tree(self, directory: Path, tmp_path: Path) -> None:
        git(directory, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
        with Checkout(tmp_path / "side") as source:
            assert source.fetch() == git(directory, "rev-parse", "side")

    def test_what_is_no_repository(self, tmp_path: Path, directory: Path) -> None:
        with pytest.raises(Refused, match="is not a Git repository"):
            Checkout(tmp_path)
        with pytest.raises(Refused, match="is not a Git repository"):
            Checkout(tmp_path / "absent")
        with pytest.raises(Refused, match=f"is inside the repository {directory}"):
            Checkout(directory / "nodes")

    def test_through_a_link(self, directory: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(directory)
        with Checkout(tmp_path / "link") as source:
            assert source.fetch() == git(directory, "rev-parse", "HEAD")

    def test_uncommitted(self, directory: Path) -> None:
        with Checkout(directory) as source:
            assert source.uncommitted() == []
            (directory / "scratch.tmp").write_text("ignored")
            assert source.uncommitted() == []
            (directory / "nodes" / "web.yaml").unlink()
            (directory / "nodes" / "a b\n.yaml").write_text("new")
            (directory / "fleet.yaml").write_text("changed")
            git(directory, "add", "fleet.yaml")
            assert source.uncommitted() == ["fleet.yaml", "nodes/a b\n.yaml", "nodes/web.yaml"]

    def test_nothing_is_written(self, directory: Path) -> None:
        def state() -> dict[Path, tuple[int, int]]:
            return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (directory / ".git").rglob("*")}

        os.utime(directory / "fleet.yaml", (1, 1))  # makes git want to refresh its index
        before = state()
        with Checkout(directory) as source:
            source.uncommitted()
            source.tree(str(source.fetch()))
        Worktree.at(directory)
        assert state() == before

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    def test_a_directory_of_somebody_else(self, directory: Path) -> None:
        os.chown(directory, 12345, 12345)
        for attempt in (Checkout, Worktree.at):
            with pytest.raises(Refused, match="git config --global --add safe"):
                attempt(directory)


class TestWorktree:
    def test_tracked_and_untracked_but_not_ignored(self, directory: Path) -> None:
        (directory / "fleet.yaml").write_text("fleet: 2\n")
        (directory / "new.yaml").write_bytes(b"\xff\n")
        (directory / "scratch.tmp").write_text("ignored")
        (directory / "nodes" / "web.yaml").unlink()
        assert Worktree.at(directory).files() == {
            ".gitignore": b"*.tmp\n",
            "fleet.yaml": b"fleet: 2\n",
            "new.yaml": b"\xff\n",
        }

    def test_it_answers_as_a_source_does(self, directory: Path) -> None:
        (directory / "run.sh").write_text("#!/bin/sh\n")
        (directory / "run.sh").chmod(0o755)
        (directory / "link").symlink_to("nodes/web.yaml")
        (directory / "caf\udce9").write_text("1")
        git(directory, "add", ".")
        git(directory, "commit", "-qm", "Second")
        tree = Worktree.at(directory)
        with Checkout(directory) as source:
            head = str(source.fetch())
            assert tree.tree() == source.tree(head)
            assert list(tree.tree()) == list(source.tree(head))
            assert [entry.path for entry in tree.others()] == ["link"]
            assert tree.files() == source.read(head, tree.tree().keys() - {"link"})
            assert tree.read(["nodes/", "link"]) == source.read(head, ["nodes/", "link"])
            ids = [entry.oid for entry in tree.tree().values()]
            assert tree.blobs(ids) == source.blobs(ids)

    def test_a_folder_of_a_larger_repository(self, directory: Path) -> None:
        assert Worktree.at(directory / "nodes").files() == {"web.yaml": b"node: web\n"}

    def test_outside_any_repository(self, tmp_path: Path) -> None:
        (tmp_path / "nodes").mkdir()
        (tmp_path / "nodes" / "web.yaml").write_text("node: web\n")
        assert Worktree.at(tmp_path).files() == {"nodes/web.yaml": b"node: web\n"}

    def test_no_directory(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="is no directory"):
            Worktree.at(tmp_path / "absent")

    def test_what_is_no_file_is_left_out(self, directory: Path) -> None:
        os.mkfifo(directory / "pipe")
        (directory / "inner").mkdir()
        git(directory / "inner", "init", "-q")
        (directory / "inner" / "x").write_text("1")
        assert Worktree.at(directory).files().keys() == {".gitignore", "fleet.yaml", "nodes/web.yaml"}

    def test_a_file_too_large_is_known_by_its_size(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (directory / "image").write_bytes(b"x" * 2000)
        expected = git(directory, "hash-object", "image")
        monkeypatch.setattr(checkout, "LARGEST_BLOB", 1000)
        tree = Worktree.at(directory)
        assert (tree.tree()["image"].size, tree.tree()["image"].oid) == (2000, expected)
        assert "image" not in tree.files()
        with pytest.raises(Refused, match="too large"):
            tree.blobs([expected])
        with pytest.raises(Refused, match="too large"):
            tree.read(["image"])

    def test_the_persons_own_ignore_file_counts(
        self, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "ignore").write_text(".DS_Store\n")
        (tmp_path / ".gitconfig").write_text(f"[core]\n\texcludesFile = {tmp_path}/ignore\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        (directory / ".DS_Store").write_text("finder")
        assert ".DS_Store" not in Worktree.at(directory).files()
