"""How machines become nodes, and how they do not: tokens, keys, servers that are not the one, and storms."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from agent import crypto
from agent.contract import sshsig
from agent.contract.token import decode_token, encode_token
from tests.adapters.gateway.peer import Key, Node, dialled
from tests.agent import program
from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene

STRANGER = "127.0.0.66"
"""Where storms come from: bounds are per address."""


def files() -> dict[str, str]:
    nodes = {name: config.node(name, {"Role": role}) for name, role in (("web-1", "web"), ("db-1", "db"))}
    return {
        **config.fleet(),
        **nodes["web-1"],
        **nodes["db-1"],
        **config.association("motd", ["*"]),
        **config.document("motd", config.file("/etc/motd", "welcome")),
        **config.association("secrets", ["tag:Role=db"]),
        **config.document("secrets", config.file("/etc/secrets", "for databases")),
    }


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    scene = set_scene(files())
    scene.join("web-1")
    scene.wait_for_file("web-1", "/etc/motd", "welcome")
    return scene


def refused(scene: Scene, name: str, token: str, said: str, server: str | None = None) -> None:
    """A machine that tries to join with a token, and is told why it may not."""
    machine = scene.machine(name)
    url = server or scene.daemon.url
    done = machine.enrol(url, token, program.archive(), check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert decode_token(token).secret not in done.stdout + done.stderr
    assert not (machine.directory / "state" / "identity.json").exists()


class TestTokens:
    def test_one_works_once(self, scene: Scene) -> None:
        token = scene.opsctl("token", "create", "--node", "db-1").strip()
        db = scene.machine("db-1")
        db.enrol(scene.daemon.url, token, program.archive())
        refused(scene, "thief", token, "the join token was used already; ask for a new one: opsctl token create")
        again = db.agent("enroll", "--token-file", "-", stdin=token)
        assert again.stdout.startswith("already enrolled as db-1")
        db.start()
        scene.wait_for_file("db-1", "/etc/secrets", "for databases")
        assert "refused: the join token was used already" in [row["outcome"] for row in scene.audit("enroll")]
        assert sorted(name for name, row in scene.daemon.nodes().items() if row["id"]) == ["db-1", "web-1"]

    def test_one_expires(self, scene: Scene) -> None:
        token = scene.opsctl("token", "create", "--node", "late-1", "--ttl", "1s").strip()
        made = time.monotonic()
        scene.wait("the token to expire", lambda: time.monotonic() > made + 1.1)
        refused(scene, "late-1", token, "the join token expired at ")

    def test_one_that_nobody_made(self, scene: Scene) -> None:
        made = decode_token(scene.token(node="guess-1"))
        guessed = encode_token(replace(made, secret="a guess"))
        refused(scene, "guess-1", guessed, "enrolment with an unknown token")

    def test_a_name_that_is_taken(self, scene: Scene) -> None:
        refused(scene, "another", scene.token(node="web-1"), "a node named web-1 is enrolled already")
        assert scene.online("web-1")

    def test_a_server_of_another_fleet_hears_no_secret(self, scene: Scene, set_scene: Set) -> None:
        other = set_scene({})
        token = scene.token(node="lost-1")
        said = "the server's CA is not the one that the token names"
        refused(scene, "lost-1", token, said, server=other.daemon.url)
        assert other.audit("enroll") == []
        assert decode_token(token).secret not in other.daemon.last_words()


class TestWhoANodeIs:
    def test_a_node_with_a_wrong_key_is_turned_away(self, scene: Scene) -> None:
        web = scene["web-1"]
        keys = web.directory / "state" / "keys.json"
        right = keys.read_text()
        wrong = {**json.loads(right), "sign": base64.b64encode(crypto.new_key()).decode()}
        web.stop()
        keys.write_text(json.dumps(wrong))
        web.start()
        said = "the hello is not signed by this node's key"
        try:
            scene.wait("the refusal", lambda: said in web.agent("status").stdout)
            assert not scene.online("web-1")
            assert scene.online("db-1")
            assert said in scene.daemon.last_words()
        finally:
            web.stop()
            keys.write_text(right)
            web.start()
        scene.wait("the node to be back", lambda: scene.online("web-1"))

    def test_what_a_node_says_of_itself_targets_nothing(self, scene: Scene) -> None:
        """Its facts claim the labels, the name and the group of another; they are shown, and that is all."""
        liar = scene.enrol("liar-1")
        claims = {"labels": {"Role": "db"}, "tags": {"Role": "db"}, "Role": "db", "name": "db-1", "hostname": "db-1"}
        state = liar.directory / "state"
        key = Key()
        sign = base64.b64decode(json.loads((state / "keys.json").read_text())["sign"])
        key._signer = crypto.Signer(sign)
        key.public = sshsig.public_text(key._signer.public)
        identity = json.loads((state / "identity.json").read_text())
        node = Node(identity["nodeId"], key, facts=claims)
        with dialled((scene.daemon.address, scene.daemon.port), scene.ca) as link:
            link.greet(node, identity["controllerKey"])
            assigned = link.assigned(identity["controllerKey"])
        assert set(assigned.assignments) == {"Association/motd"}
        shown = json.loads(scene.opsctl("node", "show", "liar-1", "--format", "json"))
        assert shown["facts"] == claims
        assert shown["labels"] == {}
        assert shown["name"] == "liar-1"

    def test_labels_come_with_the_token_where_git_declares_no_node(self, scene: Scene) -> None:
        token = scene.opsctl("token", "create", "--node", "db-9", "--label", "Role=db").strip()
        machine = scene.machine("db-9")
        machine.join(scene.daemon.url, token, program.archive())
        scene.wait_for_file("db-9", "/etc/secrets", "for databases")


class TestStorms:
    def test_enrolments_from_one_address_are_bounded_and_stop_nobody_else(self, scene: Scene) -> None:
        assert post(scene, "/enroll", b"{}") == 400
        scene.wait("the bound", lambda: post(scene, "/enroll", b"{}") == 429)
        others_are_well(scene, "calm-1")

    def test_requests_from_one_address_are_bounded_and_stop_nobody_else(self, scene: Scene) -> None:
        assert post(scene, "/api/v1/apply", b"{}") == 401

        def storm() -> bool:
            return any(post(scene, "/api/v1/apply", b"{}") == 429 for _ in range(2000))

        with ThreadPoolExecutor(4) as threads:
            assert all(reached.result() for reached in [threads.submit(storm) for _ in range(4)])
        others_are_well(scene, "calm-2")


def post(scene: Scene, path: str, body: bytes) -> int:
    """One request from the stranger's address."""
    context = ssl.create_default_context(cafile=scene.ca)
    connection = http.client.HTTPSConnection(
        scene.daemon.address, scene.daemon.port, timeout=10, context=context, source_address=(STRANGER, 0)
    )
    try:
        connection.request("POST", path, body)
        return connection.getresponse().status
    finally:
        connection.close()


def others_are_well(scene: Scene, newcomer: str) -> None:
    """Links stay, drift is healed, machines join, people are answered."""
    scene["web-1"].write("/etc/motd", "by hand")
    scene.join(newcomer)
    scene.wait_for_file(newcomer, "/etc/motd", "welcome")
    scene.wait_for_file("web-1", "/etc/motd", "welcome")
    assert scene.online("web-1")
    assert "in force" in scene.opsctl("status")


def test_the_state_of_a_node_is_for_its_owner_alone(scene: Scene) -> None:
    state = scene["web-1"].directory / "state"
    assert state.stat().st_mode & 0o077 == 0
    assert (state / "keys.json").stat().st_mode & 0o077 == 0
    assert scene.daemon.state.stat().st_mode & 0o077 == 0
    for secret in ("ca.key", "controller.key", "server.pem"):
        assert (scene.daemon.state / "keys" / secret).stat().st_mode & 0o077 == 0
    assert _world_readable(scene.daemon.state / "keys") == {"ca.pem"}


def _world_readable(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.stat().st_mode & 0o004}
