"""Who decides: `sync: manual`, plans that were saved, how much may go at once, exit codes for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene

NODES = ["web-1", "web-2", "db-1"]


@pytest.fixture(scope="module")
def module_scene(set_scene: Set) -> Scene:
    files = {
        **config.fleet(sync="manual"),
        **config.node("web-1", {"Role": "web"}),
        **config.node("web-2", {"Role": "web"}),
        **config.node("db-1", {"Role": "db"}),
        **config.association("motd", ["*"]),
        **config.motd("first"),
        **config.association("extra", ["*"]),
        **config.document("extra", config.file("/etc/extra", "extra")),
    }
    scene = set_scene(files)
    scene.join(*NODES)
    return scene


@pytest.fixture
def scene(module_scene: Scene) -> Scene:
    """With everything applied that was pushed."""
    module_scene.apply(allow_removals=100)
    return module_scene


def read(scene: Scene, path: str = "/etc/motd") -> set[str]:
    return {scene[name].read(path) for name in NODES}


def test_nothing_moves_until_somebody_applies(module_scene: Scene) -> None:
    scene = module_scene
    scene.wait("the fetch", lambda: scene.status()["head"])
    assert read(scene) == {""}
    assert scene.status()["revision"] != scene.status()["head"]
    scene.opsctl("apply", "--auto-approve")
    assert read(scene) == {"first"}
    commit = scene.push("Second", config.motd("second"))
    assert scene.status()["head"] == commit
    scene["web-1"].write("/etc/motd", "by hand")
    scene.wait_for_file("web-1", "/etc/motd", "first")  # healing is no move
    scene.daemon.kill()
    scene.daemon.start()
    scene.wait("all to be back", lambda: all(scene.online(name) for name in NODES))
    scene.wait("the fetch", lambda: scene.status()["head"] == commit)
    assert read(scene) == {"first"}
    scene.opsctl("apply", "--auto-approve")
    assert read(scene) == {"second"}
    assert scene.status()["revision"] == commit


def test_apply_asks_and_without_an_answer_does_nothing(scene: Scene) -> None:
    scene.push("Third", config.motd("third"))
    before = read(scene)
    assert "nobody is there to ask" in scene.opsctl("apply", code=1)
    assert read(scene) == before


def test_exit_codes_that_terraform_users_expect(scene: Scene) -> None:
    plan = ("plan", "--detailed-exitcode")
    scene.opsctl(*plan, code=0)
    scene.push("Something to do", config.motd("something to do"))
    assert "+something to do" in scene.opsctl(*plan, code=2)
    scene.opsctl("plan", code=0)
    scene.opsctl(*plan, "--rev", "nonsense", code=1)
    scene.opsctl(*plan, "--no-such-option", code=1)
    scene.opsctl(*plan, "--server", "unix:/nonexistent", code=1)
    scene.opsctl("plan", "--no-such-option", code=2)
    bad = scene.directory / "bad.yaml"
    bad.write_text("{}")
    scene.opsctl("apply", str(bad), code=2)


class TestSavedPlans:
    def save(self, scene: Scene, tmp_path: Path) -> Path:
        scene.opsctl("plan", "--out", str(tmp_path / "plan"))
        return tmp_path / "plan"

    def test_what_was_agreed_to_is_done(self, scene: Scene, tmp_path: Path) -> None:
        commit = scene.push("Agreed", config.motd("agreed"))
        plan = self.save(scene, tmp_path)
        scene.push("Not agreed", config.motd("not agreed"))
        scene.opsctl("apply", str(plan), "--auto-approve")
        assert read(scene) == {"agreed"}
        assert scene.status()["revision"] == commit

    def test_it_is_refused_where_more_would_be_done(self, scene: Scene, tmp_path: Path) -> None:
        scene.push("Agreed for three", config.motd("agreed for three"))
        plan, before = self.save(scene, tmp_path), read(scene)
        scene.join("late-1")
        said = scene.opsctl("apply", str(plan), "--auto-approve", code=1)
        assert "the fleet has moved since this plan was made, it does not name: Assign Association/" in said
        assert "plan again" in said
        assert read(scene) == before
        scene["late-1"].stop()
        scene.opsctl("node", "retire", "late-1", "--auto-approve")

    def test_what_is_no_longer_needed_is_left_out_and_listed(self, scene: Scene, tmp_path: Path) -> None:
        scene.join("early-1")
        scene.opsctl("apply", "--auto-approve")
        scene.push("Agreed for four", config.motd("agreed for four"))
        plan = self.save(scene, tmp_path)
        scene["early-1"].stop()
        scene.opsctl("node", "retire", "early-1", "--auto-approve")
        said = scene.opsctl("apply", str(plan), "--auto-approve")
        assert "no longer needed: Assign Association/motd on early-1" in said
        assert read(scene) == {"agreed for four"}

    def test_one_that_was_tampered_with(self, scene: Scene, tmp_path: Path) -> None:
        scene.push("Something else", config.motd("something else"))
        plan, before = self.save(scene, tmp_path), read(scene)
        view = json.loads(plan.read_text())
        view["changes"][0]["actionDigest"] = "sha256:" + "0" * 64
        plan.write_text(json.dumps(view))
        assert "it does not name" in scene.opsctl("apply", str(plan), "--auto-approve", code=1)
        assert read(scene) == before


class TestRemovals:
    def test_many_at_once_need_a_number(self, scene: Scene) -> None:
        scene.push("Fewer", config.association("extra", ["tag:Role=db"]))
        before = scene.status()["revision"]
        assert "2 nodes: - Association/extra" in scene.opsctl("plan")
        said = scene.opsctl("apply", "--auto-approve", code=1)
        assert "Association/extra from 2 nodes" in said
        assert "say --allow-removals 2 if that is meant" in said
        scene.opsctl("apply", "--auto-approve", "--allow-removals", "1", code=1)
        assert scene.status()["revision"] == before
        assert scene.assignment("web-1", "extra")
        scene.opsctl("apply", "--auto-approve", "--allow-removals", "2")
        assert not scene.assignment("web-1", "extra")
        assert scene.assignment("db-1", "extra")

    def test_so_does_the_last_of_an_association(self, scene: Scene) -> None:
        scene.push("Gone", {"associations/extra.yaml": None, "documents/extra.yaml": None})
        assert "say --allow-removals 1" in scene.opsctl("apply", "--auto-approve", code=1)
        scene.opsctl("apply", "--auto-approve", "--allow-removals", "1")
        assert not scene.assignment("db-1", "extra")
        assert read(scene, "/etc/extra") == {"extra"}  # onRemove: Retain

    def test_under_auto_they_wait_and_everything_else_goes_on(self, scene: Scene) -> None:
        scene.push("Two associations", {**config.association("more", ["*"]), **config.motd("with more")})
        scene.push("More", {**config.fleet(sync="auto"), **config.document("more", config.file("/etc/more", "more"))})
        scene.opsctl("apply", "--auto-approve")
        for name in NODES:
            scene.wait_for_file(name, "/etc/more", "more")
        scene.push("Less of one, more of the other", {"associations/more.yaml": None, **config.motd("by itself")})
        for name in NODES:
            scene.wait_for_file(name, "/etc/motd", "by itself")
        assert all(scene.assignment(name, "more") for name in NODES)
        (wait,) = scene.status()["waits"]
        assert (wait["uid"], wait["rule"], wait["nodes"]) == ("Association/more", "removals", 3)
        assert "--allow-removals" in scene.opsctl("status")
        scene.opsctl("apply", "--auto-approve", "--allow-removals", "3")
        assert not any(scene.assignment(name, "more") for name in NODES)
        assert scene.status()["waits"] == []


def test_apply_under_auto_is_sync_now_and_wait(scene: Scene) -> None:
    for number in range(3):
        scene.repository.push(f"Change {number}", config.motd(f"change {number}"))
        scene.opsctl("apply", "--auto-approve")
        assert read(scene) == {f"change {number}"}


def test_an_older_commit_can_be_gone_back_to_only_under_manual(scene: Scene) -> None:
    before = scene.status()["revision"]
    scene.push("Newest", config.motd("newest"))
    said = scene.opsctl("apply", "--auto-approve", "--rev", before, code=1)
    assert "is behind the head, and `sync: auto` would leave it again" in said
    older = scene.push("Manual again", {**config.fleet(sync="manual"), **config.motd("older")})
    scene.push("Newer", config.motd("newer"))
    scene.opsctl("apply", "--auto-approve")
    scene.opsctl("apply", "--auto-approve", "--rev", older)
    assert read(scene) == {"older"}
    scene.repository.git("switch", "--quiet", "--create", "elsewhere")
    scene.repository.commit("Not merged", config.motd("not merged"))
    scene.repository.git("push", "--quiet", "origin", "elsewhere")
    scene.repository.git("switch", "--quiet", "main")
    said = scene.opsctl("apply", "--auto-approve", "--rev", "elsewhere", code=1)
    assert "is not on the tracked branch" in said
    assert "+not merged" in scene.opsctl("plan", "--rev", "elsewhere")
