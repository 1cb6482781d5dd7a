"""Checkouts where git is real: a repository and its checkout in directories of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.host import LocalHost
from tests.agent.converging import Node, body, reasons, step

pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a checkout here is root's"),
]


class Story:
    """A remote with two commits on main, the first tagged v1, and a node that checks it out."""

    def __init__(self, directory: Path) -> None:
        self.remote, self.path = directory / "remote", directory / "checkout"
        self.remote.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.first = self.commit("one")
        self.git("tag", "--annotate", "--message=v1", "v1")
        self.second = self.commit("two")
        self.node = Node(LocalHost(), directory / "state")

    def git(self, *words: str, at: Path | None = None) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgSign=false"]
        argv = ["git", *who, "-C", str(at or self.remote), *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, content: str, at: Path | None = None) -> str:
        ((at or self.remote) / "file").write_text(content)
        self.git("add", "file", at=at)
        self.git("commit", "--quiet", "--message", content, at=at)
        return self.git("rev-parse", "HEAD", at=at)

    def converge(self, revision: str = "main", *, apply: bool = True, **more: object) -> dict[str, object]:
        inputs = {"path": str(self.path), "remote": str(self.remote), "revision": revision, **more}
        result = self.node.converge(body(step("ops:git", inputs)), apply=apply)
        (claim,) = result.claims
        return {"outcome": claim.outcome, "before": claim.before, "after": claim.after, "reason": claim.reason}

    @property
    def content(self) -> str:
        return (self.path / "file").read_text()


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_branch_is_followed_and_what_is_right_is_left(story: Story) -> None:
    dry = story.converge(apply=False)
    assert dry["outcome"] == "Drifted"
    assert not story.path.exists()
    made = story.converge()
    assert made == {**dry, "outcome": "Changed"}
    assert story.content == "two"
    assert story.converge()["outcome"] == "Unchanged"
    third = story.commit("three")
    assert story.converge()["after"] == f"{third[:12]} (main) of {story.remote}"
    assert story.content == "three"


def test_a_tag_and_a_commit(story: Story) -> None:
    assert story.converge("v1")["outcome"] == "Changed"
    assert story.content == "one"
    assert story.converge(story.second)["outcome"] == "Changed"
    shutil.move(story.remote, story.remote.with_name("gone"))
    assert story.converge(story.second)["outcome"] == "Unchanged", "a commit's own name asks nobody"
    assert "git ls-remote" in str(story.converge("main")["reason"])


def test_a_rewritten_branch_is_followed(story: Story) -> None:
    story.converge()
    story.git("reset", "--quiet", "--hard", story.first)
    story.commit("rewritten")
    assert story.converge()["outcome"] == "Changed"
    assert story.content == "rewritten"


def test_what_somebody_changed_stays_unless_it_may_go(story: Story) -> None:
    story.converge("v1")
    (story.path / "file").write_text("mine")
    (story.path / "notes").write_text("untracked")
    for revision in ("v1", "main"):
        told = story.converge(revision)
        assert told["outcome"] == "Failed"
        assert "1 files were changed" in str(told["reason"])
    assert story.content == "mine"
    assert story.converge("main", force=True)["outcome"] == "Changed"
    assert story.content == "two"
    assert (story.path / "notes").read_text() == "untracked"


def test_what_somebody_committed_stays_unless_it_may_go(story: Story) -> None:
    story.converge("v1")
    mine = story.commit("mine", at=story.path)
    told = story.converge("main")
    assert "has 1 commits that no branch has" in str(told["reason"])
    assert story.content == "mine"
    story.git("branch", "kept", mine, at=story.path)
    assert story.converge("main")["outcome"] == "Changed", "what a branch has is not lost"
    assert story.git("rev-parse", "kept", at=story.path) == mine


def test_hooks_of_a_checkout_are_not_run(story: Story, tmp_path: Path) -> None:
    story.converge("v1")
    hook = story.path / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    assert story.converge("main")["outcome"] == "Changed"
    assert not (tmp_path / "ran").exists()


def test_somebody_elses_checkout_is_not_entered(story: Story) -> None:
    story.converge("v1")
    os.chown(story.path, 65534, -1)
    assert "belongs to nobody; name it as `owner`" in str(story.converge("main")["reason"])


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_an_owner_who_fetches_himself(open_directory: Path) -> None:
    story = Story(open_directory)
    subprocess.run(["chown", "-R", "daemon", str(story.remote)], check=True)
    assert story.converge("main", owner="daemon")["outcome"] == "Changed"
    assert (story.path / "file").owner() == "daemon"
    assert story.converge("main", owner="daemon")["outcome"] == "Unchanged"
    story.node.close()


def test_bad_input(story: Story) -> None:
    assert str(story.converge("nope")["reason"]).endswith("has no branch or tag nope")
    assert "holds credentials" in str(story.converge(remote="https://me:secret@example.com/a.git")["reason"])
    assert "secret" not in str(story.converge(remote="https://me:secret@example.com/a.git")["reason"])
    story.path.mkdir()
    (story.path / "else").write_text("else")
    assert "is no git repository, and not empty" in str(story.converge()["reason"])
    told = story.node.converge(body(step("ops:git", {"path": "/no/parent/x", "remote": str(story.remote)})))
    assert "/no/parent/x: No such file" in str(reasons(told)["path:/no/parent/x"])
