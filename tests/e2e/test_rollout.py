"""Waves: how many move at once, when they stop, how people find out and go on."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene

NODES = [f"web-{number}" for number in range(1, 7)]


def app(content: str) -> dict[str, str]:
    return config.document("app", config.file("/etc/app.conf", content))


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    files = {**config.fleet(), **config.association("app", ["*"], maxConcurrency="2", maxErrors="1"), **app("first")}
    for name in NODES:
        files |= config.node(name)
    scene = set_scene(files)
    scene.join(*NODES)
    for name in NODES:
        scene.wait_for_file(name, "/etc/app.conf", "first")
    return scene


def with_content(scene: Scene, content: str) -> list[str]:
    return [name for name in NODES if scene[name].read("/etc/app.conf") == content]


def generations(scene: Scene, association: str) -> dict[str, int]:
    return {name: scene.assignment(name, association)["generation"] for name in NODES}


def test_never_more_at_once_than_allowed(scene: Scene) -> None:
    """Every run says when it begins and when it ends, in one file: at no instant are there more than two."""
    runs = scene.directory / "runs"
    files = {
        **config.association("slow", ["*"], maxConcurrency="2"),
        **config.document("slow", config.script(f"echo begin >>{runs}", "sleep 0.2", f"echo end >>{runs}")),
    }
    scene.push("Something slow", files)
    for name in NODES:
        scene.wait_for_report(name, "slow", status="Success")
    running, most = 0, 0
    for word in runs.read_text().split():
        running += 1 if word == "begin" else -1
        most = max(most, running)
    assert (most, running, runs.read_text().split().count("begin")) == (2, 0, 6)


class TestTooManyErrors:
    """One story: what fails is held, people read why, and it goes on when they have dealt with it."""

    def test_it_stops_past_what_is_allowed(self, scene: Scene) -> None:
        for name in NODES:
            (scene[name].root / "etc/app.conf").unlink()
            scene[name].write("/etc/app.conf/in-the-way", "")
        before = generations(scene, "app")["web-1"]
        scene.push("What fails everywhere", app("second"))
        scene.wait("the hold", lambda: scene.status()["held"])
        (reason,) = scene.status()["held"].values()
        assert re.fullmatch("failed on [23] of 6 nodes, maxErrors allows 1", reason)  # one more may be under way
        moved = [name for name, generation in generations(scene, "app").items() if generation > before]
        assert 2 <= len(moved) <= 3
        assert f"Association/app is held: {reason}" in scene.opsctl("status")
        other = next(name for name in NODES if name not in moved)
        explained = json.loads(scene.opsctl("explain", f"{other}:/etc/app.conf", "--format", "json"))
        assert any(reason in wait for wait in explained["reasons"][0]["waits"])

    def test_the_way_back_is_proposed(self, scene: Scene) -> None:
        bare = ["git", "-C", str(scene.repository.remote)]

        def proposed() -> list[str]:
            refs = [*bare, "for-each-ref", "--format=%(refname:short)", "refs/heads/opsctl/"]
            return subprocess.run(refs, capture_output=True, text=True, check=True).stdout.split()

        (branch,) = scene.wait("the proposal", proposed)
        shown = subprocess.run([*bare, "show", branch], capture_output=True, text=True, check=True).stdout
        assert "Revert Association/app to what ran before" in shown
        assert "second" in shown
        document = subprocess.run([*bare, "show", f"{branch}:documents/app.yaml"], capture_output=True, text=True)
        assert '"content": "first"' in document.stdout
        assert scene.status()["revision"] == scene.repository.git("rev-parse", "HEAD")  # only proposed

    def test_nothing_moves_while_it_is_held_not_even_across_a_restart(self, scene: Scene) -> None:
        before = generations(scene, "app")
        scene.daemon.kill()
        scene.daemon.start()
        scene.wait("all to be back", lambda: all(scene.online(name) for name in NODES))
        scene.push("Something else", config.document("other", config.file("/etc/other", "")))
        assert scene.status()["held"]
        assert generations(scene, "app") == before

    def test_apply_takes_the_hold_off(self, scene: Scene) -> None:
        for name in NODES:
            (scene[name].root / "etc/app.conf/in-the-way").unlink()
            (scene[name].root / "etc/app.conf").rmdir()
        scene.wait("those that failed to heal", lambda: not scene.status()["failing"])
        scene.opsctl("apply", "--auto-approve")
        assert with_content(scene, "second") == NODES
        assert scene.status()["held"] == {}
        (resumed,) = scene.audit("resume")
        assert resumed["detail"].startswith("was held: failed on ")

    def test_a_newer_commit_is_not_held_for_an_older_ones_sins(self, scene: Scene) -> None:
        for name in NODES[:3]:
            (scene[name].root / "etc/app.conf").unlink()
            scene[name].write("/etc/app.conf/in-the-way", "")
        scene.push("What fails again", app("third"))
        scene.wait("the hold", lambda: scene.status()["held"])
        for name in NODES[:3]:
            (scene[name].root / "etc/app.conf/in-the-way").unlink()
            (scene[name].root / "etc/app.conf").rmdir()
        scene.push("What is right", app("fourth"))
        scene.wait("all to have it", lambda: with_content(scene, "fourth") == NODES)
        scene.wait("the hold to be history", lambda: scene.status()["held"] == {})


def test_without_a_word_a_tenth_moves_at_a_time(scene: Scene) -> None:
    """And explain says what the others wait for."""
    gate = scene.directory / "gate"
    files = {
        **config.association("careful", ["*"], maxConcurrency=None, maxErrors=None),
        **config.document("careful", config.script(f"while [ ! -e {gate} ]; do sleep 0.05; done")),
    }
    scene.push("Carefully", files)

    def given() -> list[str]:
        return [name for name in NODES if scene.assignment(name, "careful")]

    try:
        scene.wait("the first to start", lambda: len(given()) == 1)
        (wait,) = [wait for wait in scene.status()["waits"] if wait["uid"] == "Association/careful"]
        assert (wait["rule"], wait["nodes"]) == ("maxConcurrency", 5)
        other = next(name for name in NODES if name not in given())
        explained = scene.opsctl("explain", f"{other}:script:step1")
        assert "waits: maxConcurrency: maxConcurrency 10%: 1 of 6 at once" in explained
        assert len(given()) == 1
    finally:
        gate.touch()
    for name in NODES:
        scene.wait_for_report(name, "careful", status="Success")
