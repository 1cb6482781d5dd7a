"""People over https with their SSH keys: what roles let them do, what is written down, who may change the roles."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import OPSCTL, Scene

ROLES = {
    "operator": {"grants": [{"verbs": ["read", "plan", "apply", "explain", "enroll", "retire"], "nodes": ["*"]}]},
    "web-team": {"grants": [{"verbs": ["read", "explain"], "nodes": ["tag:Role=web"]}]},
    "pull-requests": {"grants": [{"verbs": ["plan"], "nodes": ["*"]}]},
}


@dataclass(frozen=True)
class Key:
    """An SSH key as people have one."""

    path: Path

    @classmethod
    def made(cls, directory: Path, name: str) -> Key:
        path = directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
        return cls(path)

    @property
    def public(self) -> str:
        return self.path.with_suffix(".pub").read_text().strip()


def access(operators: dict[str, tuple[str, Key]]) -> dict[str, str]:
    """Operators by name: a role and a key each."""
    people = {name: {"roles": [role], "keys": [key.public]} for name, (role, key) in operators.items()}
    return {
        "access/roles.yaml": config.stream("Role", ROLES),
        "access/operators.yaml": config.stream("Operator", people),
    }


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Key]:
    directory = tmp_path_factory.mktemp("keys")
    return {name: Key.made(directory, name) for name in ("mary", "wes", "robot", "stranger", "newcomer")}


@pytest.fixture(scope="module")
def people(keys: dict[str, Key]) -> dict[str, tuple[str, Key]]:
    return {
        "mary": ("operator", keys["mary"]),
        "wes": ("web-team", keys["wes"]),
        "robot": ("pull-requests", keys["robot"]),
    }


@pytest.fixture(scope="module")
def scene(set_scene: Set, keys: dict[str, Key], people: dict[str, tuple[str, Key]]) -> Scene:
    files = {
        **config.fleet(),
        **config.node("web-1", {"Role": "web"}),
        **config.node("db-1", {"Role": "db"}),
        **config.association("motd", ["*"]),
        **config.motd("first"),
        **access(people),
    }
    scene = set_scene(files, accessSigners=[keys["mary"].public])
    scene.join("web-1", "db-1")
    scene.wait_for_file("db-1", "/etc/motd", "first")
    return scene


def asked(scene: Scene, key: Key, *arguments: str, code: int = 0, ca: Path | None = None) -> str:
    """opsctl over https as whoever has the key; what it printed on both streams."""
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "OPSCTL_SERVER": scene.daemon.url,
        "OPSCTL_CA": str(ca or scene.ca),
        "OPSCTL_KEY": str(key.path),
    }
    done = subprocess.run(
        [str(OPSCTL), *arguments], env=scene.environment(env), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def refusals(scene: Scene, subject: str) -> list[tuple[str, str]]:
    rows = scene.daemon.ask("/audit?limit=1000")["items"]
    return [(row["verb"], row["object"]) for row in rows if row["subject"] == subject and row["outcome"] == "refused"]


class TestRoles:
    def test_an_operator_does_everything(self, scene: Scene, keys: dict[str, Key]) -> None:
        mary = keys["mary"]
        nodes = json.loads(asked(scene, mary, "node", "list", "--format", "json"))["nodes"]
        assert [row["name"] for row in nodes] == ["db-1", "web-1"]
        scene.repository.push("Second", config.motd("second"))
        assert "2 of 2 done" in asked(scene, mary, "apply", "--auto-approve")
        assert asked(scene, mary, "token", "create", "--node", "spare").startswith("opsctl1.")
        (applied,) = [row for row in scene.audit("apply") if row["subject"] == "mary"]
        assert applied["object"] == scene.status()["revision"]

    def test_a_team_sees_its_own_nodes_and_changes_none(self, scene: Scene, keys: dict[str, Key]) -> None:
        wes = keys["wes"]
        nodes = json.loads(asked(scene, wes, "node", "list", "--format", "json"))["nodes"]
        assert [row["name"] for row in nodes] == ["web-1"]
        assert "web-1" in asked(scene, wes, "node", "show", "web-1")
        assert "documents/motd.yaml" in asked(scene, wes, "explain", "web-1:/etc/motd")
        assert "no node named db-1 is known to you" in asked(scene, wes, "node", "show", "db-1", code=1)
        assert "no node named db-1 is known to you" in asked(scene, wes, "explain", "db-1", code=1)

    @pytest.mark.parametrize(
        ("who", "command", "verb"),
        [
            ("wes", ["apply", "--auto-approve"], "plan"),
            ("wes", ["token", "create", "--node", "mine"], "enroll"),
            ("wes", ["node", "retire", "web-1", "--auto-approve"], "retire"),
            ("robot", ["status"], "read"),
            ("robot", ["node", "list"], "read"),
            ("robot", ["apply", "--auto-approve"], "apply"),
        ],
    )
    def test_without_the_right_nothing_happens_and_it_is_written_down(
        self, scene: Scene, keys: dict[str, Key], who: str, command: list[str], verb: str
    ) -> None:
        scene.repository.push("For nobody to apply but the reconciler", config.motd(f"{who} {' '.join(command)}"))
        said = asked(scene, keys[who], *command, code=1)
        assert f"{who} may not {verb}" in said
        assert refusals(scene, who)[0][0] == verb
        assert scene.online("web-1")

    def test_a_pull_request_gets_its_plan(self, scene: Scene, keys: dict[str, Key]) -> None:
        scene.repository.git("switch", "--quiet", "--create", "proposal")
        scene.repository.commit("Proposed", config.motd("proposed"))
        scene.repository.git("push", "--quiet", "origin", "proposal")
        scene.repository.git("switch", "--quiet", "main")
        shown = asked(scene, keys["robot"], "plan", "--rev", "proposal", "--format", "markdown")
        assert "+proposed" in shown
        assert scene["web-1"].read("/etc/motd") != "proposed"


class TestStrangers:
    def test_a_key_that_is_nobodys(self, scene: Scene, keys: dict[str, Key]) -> None:
        said = asked(scene, keys["stranger"], "status", code=1)
        assert f"the key {' '.join(keys['stranger'].public.split()[:2])} is no operator's" in said

    def test_a_server_that_another_ca_made(self, scene: Scene, keys: dict[str, Key], set_scene: Set) -> None:
        other = set_scene({})
        said = asked(scene, keys["mary"], "status", code=1, ca=other.ca)
        assert "certificate" in said.lower()


class TestAccessFiles:
    def test_a_change_nobody_signed_is_not_in_force_and_holds_only_itself(
        self, scene: Scene, keys: dict[str, Key], people: dict[str, tuple[str, Key]]
    ) -> None:
        more = {**people, "newcomer": ("operator", keys["newcomer"])}
        scene.push("Let a newcomer in", {**access(more), **config.motd("with a newcomer")})
        scene.wait_for_file("web-1", "/etc/motd", "with a newcomer")
        (problem,) = scene.status()["problems"]
        assert problem.startswith("changes under access/ up to ")
        assert "signed by a key in server.yaml: accessSigners" in problem
        assert "is no operator's" in asked(scene, keys["newcomer"], "status", code=1)
        assert "in force" in asked(scene, keys["mary"], "status")
        scene.daemon.kill()
        scene.daemon.start()
        scene.wait("the refusal to be remembered", lambda: scene.status()["problems"])
        assert "is no operator's" in asked(scene, keys["newcomer"], "status", code=1)

    def test_one_signed_by_another_key_neither(self, scene: Scene, keys: dict[str, Key]) -> None:
        self._signed(scene, keys["newcomer"], "Let me in")
        scene.daemon.ask("/sync", {})
        assert scene.status()["problems"]
        assert "is no operator's" in asked(scene, keys["newcomer"], "status", code=1)

    def test_one_signed_by_an_access_signer_is(self, scene: Scene, keys: dict[str, Key]) -> None:
        self._signed(scene, keys["mary"], "Let the newcomer in, says Mary")
        scene.daemon.ask("/sync", {})
        assert scene.status()["problems"] == []
        assert "in force" in asked(scene, keys["newcomer"], "status")

    def _signed(self, scene: Scene, key: Key, message: str) -> None:
        """A commit under access/, signed."""
        roles = scene.repository.clone / "access" / "roles.yaml"
        roles.write_text(f"# {message}\n{roles.read_text()}")
        git = scene.repository.git
        git("add", "--all")
        sign = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key.path}")
        git(*sign, "commit", "--quiet", "--gpg-sign", "--message", message)
        git("push", "--quiet", "origin", "HEAD:main")
