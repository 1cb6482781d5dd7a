"""The Git remote as it fails people: down, rewritten, replaced, empty; and the hook that says it has something new."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
from pathlib import Path

import httpx
import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene
from tests.stage import until


def files() -> dict[str, str]:
    return {**config.fleet(), **config.node("web-1"), **config.association("motd", ["*"]), **config.motd("first")}


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    scene = set_scene(files())
    scene.join("web-1")
    scene.wait_for_file("web-1", "/etc/motd", "first")
    return scene


class TestDown:
    def test_everything_goes_on_and_what_came_meanwhile_arrives(self, scene: Scene) -> None:
        gone = scene.repository.remote.rename(scene.directory / "away.git")
        scene.wait("the failure to be told", lambda: scene.status()["problems"])
        (problem,) = scene.status()["problems"]
        assert problem.startswith(f"unavailable: Git remote {scene.repository.remote}: ")
        assert problem in scene.opsctl("status")
        assert f"Git remote {scene.repository.remote}" in scene.opsctl("apply", "--auto-approve", code=1)
        scene["web-1"].write("/etc/motd", "by hand")
        scene.wait_for_file("web-1", "/etc/motd", "first")
        assert scene.token(node="db-1")

        scene.daemon.kill()
        scene.daemon.start()
        scene.wait("the node to be back", lambda: scene.online("web-1"))
        scene.wait("the failure to be told again", lambda: scene.status()["problems"])
        assert scene.status()["revision"] == scene.repository.git("rev-parse", "HEAD")

        gone.rename(scene.repository.remote)
        scene.repository.push("While it was away", config.motd("second"))
        scene.wait_for_file("web-1", "/etc/motd", "second")
        assert scene.status()["problems"] == []


class TestRewritten:
    def test_a_force_push_is_refused_until_it_is_allowed(self, scene: Scene) -> None:
        git, before = scene.repository.git, scene.status()["revision"]
        git("commit", "--quiet", "--amend", "--message", "Another history")
        git("push", "--quiet", "--force", "origin", "HEAD:main")
        scene.wait("the refusal", lambda: scene.status()["problems"])
        assert f"was rewritten: last accepted {before}" in scene.status()["problems"][0]
        assert "--allow-rewrite" in scene.opsctl("status")
        scene.repository.push("On top of it", config.motd("rewritten"))
        assert "was rewritten" in scene.opsctl("apply", "--auto-approve", code=1)
        assert scene.status()["revision"] == before
        scene["web-1"].write("/etc/motd", "by hand")
        scene.wait_for_file("web-1", "/etc/motd", "second")

        scene.daemon.stop()
        scene.daemon.start("--allow-rewrite")
        scene.wait_for_file("web-1", "/etc/motd", "rewritten")
        assert scene.status()["problems"] == []

    def test_a_history_that_shares_nothing_is_refused(self, scene: Scene) -> None:
        git, before = scene.repository.git, scene.status()["revision"]
        git("switch", "--quiet", "--orphan", "other")
        scene.repository.commit("All new", {**files(), **config.motd("replaced")})
        git("push", "--quiet", "--force", "origin", "HEAD:main")
        scene.wait("the refusal", lambda: scene.status()["problems"])
        assert "was replaced" in scene.status()["problems"][0]
        git("push", "--quiet", "--force", "origin", f"{before}:main")
        git("switch", "--quiet", "main")
        scene.wait("peace", lambda: not scene.status()["problems"])
        assert scene["web-1"].read("/etc/motd") == "rewritten"

    def test_a_branch_that_vanishes_removes_nothing(self, scene: Scene) -> None:
        before = scene.repository.git("rev-parse", "HEAD")
        bare = scene.repository.remote
        scene.repository.git("--git-dir", str(bare), "update-ref", "-d", "refs/heads/main")
        scene.wait("the refusal", lambda: scene.status()["problems"])
        assert "no branch to read any more" in scene.status()["problems"][0]
        scene.repository.git("push", "--quiet", "origin", f"{before}:refs/heads/main")
        scene.wait("peace", lambda: not scene.status()["problems"])
        assert scene.assignment("web-1", "motd")["status"] == "Success"


def test_many_who_ask_at_once_get_the_newest(scene: Scene) -> None:
    failures: list[BaseException] = []

    def sync() -> None:
        try:
            scene.daemon.ask("/sync", {})
        except BaseException as failure:
            failures.append(failure)

    for number in range(5):
        commit = scene.repository.push(f"Change {number}", config.motd(f"change {number}"))
        asking = [threading.Thread(target=sync) for _ in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert scene.status()["revision"] == commit
    assert failures == []


def test_an_empty_remote_waits_for_its_first_commit(set_scene: Set) -> None:
    scene = set_scene({})
    scene.wait("the reason", lambda: scene.status()["problems"])
    assert scene.status()["problems"] == ["the repository has no commits on the tracked branch yet"]
    assert "no commits on the tracked branch" in scene.opsctl("plan", code=1)
    scene.join("web-1")
    scene.repository.push("Begin", files())
    scene.wait_for_file("web-1", "/etc/motd", "first")
    assert scene.status()["problems"] == []


@pytest.fixture(scope="module")
def hooked(set_scene: Set, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Polled once an hour: what arrives, arrives because of the hook."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "github").write_text("hush\n")
    (secrets / "gitlab").write_text("psst\n")
    hooks = {"githubSecretFile": str(secrets / "github"), "gitlabTokenFile": str(secrets / "gitlab")}
    return set_scene({**files(), **config.fleet(polling={"interval": 3600})}, hooks=hooks)


class TestHook:
    def post(self, scene: Scene, body: bytes, **headers: str) -> int:
        trusted = ssl.create_default_context(cafile=scene.ca)
        return httpx.post(f"{scene.daemon.url}/hooks/git", content=body, headers=headers, verify=trusted).status_code

    @pytest.mark.parametrize("host", ["GitHub", "GitLab"])
    def test_a_host_that_proves_itself_causes_a_fetch(self, hooked: Scene, host: str) -> None:
        commit = hooked.repository.push(f"Pushed to {host}", config.motd(host))
        body = json.dumps({"ref": "refs/heads/main", "after": commit}).encode()
        signature = "sha256=" + hmac.new(b"hush", body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": signature} if host == "GitHub" else {"X-Gitlab-Token": "psst"}
        assert self.post(hooked, body, **headers) == 202
        until("the fetch", lambda: hooked.status()["revision"] == commit)

    def test_nobody_else_does(self, hooked: Scene) -> None:
        fetched = hooked.status()["fetchedAt"]
        body = b"{}"
        forged = "sha256=" + hmac.new(b"guess", body, hashlib.sha256).hexdigest()
        assert self.post(hooked, body) == 401
        assert self.post(hooked, body, **{"X-Hub-Signature-256": forged}) == 401
        assert self.post(hooked, body, **{"X-Gitlab-Token": "hush"}) == 401
        assert hooked.status()["fetchedAt"] == fetched


def test_a_second_daemon_is_refused_the_state(scene: Scene, tmp_path: Path) -> None:
    done = scene.daemon.run(
        *("serve", "--repo", str(scene.repository.remote), "--state", str(scene.daemon.state)),
        *("--listen", "127.0.0.1:0"),
        check=False,
    )
    assert done.returncode == 1
    assert f"{scene.daemon.state} is held by process {scene.daemon.process} on " in done.stderr
    assert "Traceback" not in done.stderr
    assert scene.online("web-1")
