"""Forged and replayed frames, by someone who stands between agent and server and has the server's TLS key."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent.contract import frames, sshsig
from agent.contract.canonical import canonical
from agent.contract.wire import Signed
from tests.adapters.gateway.peer import Key
from tests.e2e import config
from tests.e2e.between import Between, Frame
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    files = {
        **config.fleet(),
        **config.node("web-1"),
        **config.node("db-1"),
        **config.association("motd", ["*"], onRemove="Prune"),
        **config.motd("first"),
        **config.association("secrets", ["db-1"]),
        **config.document("secrets", config.file("/etc/secrets", "for db-1 alone")),
    }
    scene = set_scene(files)
    scene.join("db-1")
    scene.enrol("web-1")
    return scene


@pytest.fixture
def between(scene: Scene) -> Iterator[Between]:
    """web-1 reaches the server through them, as if its name had been taken over."""
    web = scene["web-1"]
    path = web.directory / "state" / "identity.json"
    with Between(scene.daemon.url, scene.daemon.state) as between:
        path.write_text(json.dumps({**json.loads(path.read_text()), "servers": [between.url]}))
        web.start()
        scene.wait("web-1 to connect", lambda: scene.online("web-1"))
        yield between
        web.stop()


def payload(signed: Signed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(signed.payload))
    return found


def refusals(scene: Scene) -> int:
    return scene["web-1"].log.read_text().count("an assignment set is refused")


def refused(scene: Scene, between: Between, frame: str, why: str) -> None:
    """The agent says no, keeps what it has, and takes the next true set."""
    web, before = scene["web-1"], refusals(scene)
    content = web.read("/etc/motd")
    between.inject(frame)
    scene.wait("the refusal", lambda: refusals(scene) == before + 1)
    assert why in web.log.read_text().rsplit("an assignment set is refused", 1)[1].splitlines()[0]
    assert web.read("/etc/motd") == content
    assert not web.read("/etc/secrets")
    after = f"{content}, then more"
    scene.push("Something true", config.motd(after))
    scene.wait_for_file("web-1", "/etc/motd", after)
    scene.wait_for_file("db-1", "/etc/motd", after)


def test_an_older_set_is_not_taken_again(scene: Scene, between: Between) -> None:
    scene.push("Second", config.motd("second"))
    scene.wait_for_file("web-1", "/etc/motd", "second")
    recorded = between.last("assignments")
    scene.push("Third", config.motd("third"))
    scene.wait_for_file("web-1", "/etc/motd", "third")
    refused(scene, between, recorded, "it is older")


def test_another_nodes_set_is_not_taken(scene: Scene, between: Between) -> None:
    """db-1's own set, signed by the controller, as whoever reads db-1's link could record it."""
    held = scene["db-1"].directory / "state" / "held" / "set.json"
    signed = Signed(**json.loads(held.read_text())["signed"])
    refused(scene, between, frames.signed_control("assignments", signed), "it is for node")


def changed(scene: Scene, between: Between, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The newest true set, one further on, and altered."""
    content = scene["web-1"].read("/etc/motd") + "."
    scene.push("Something to change", config.motd(content))
    scene.wait_for_file("web-1", "/etc/motd", content)
    found = payload(between.signed("assignments"))
    found["serial"] += 1000
    change(found)
    return found


def retire(found: dict[str, Any]) -> None:
    found["assignments"], found["retire"] = {}, True


def test_what_another_key_signed_is_not_taken(scene: Scene, between: Between) -> None:
    data = canonical(changed(scene, between, retire))
    refused(
        scene,
        between,
        frames.signed_control("assignments", Key().sign(data, sshsig.ASSIGNMENTS)),
        "signed by another key",
    )


def test_what_was_changed_after_it_was_signed_is_not_taken(scene: Scene, between: Between) -> None:
    data = canonical(changed(scene, between, retire))
    true = between.signed("assignments")
    refused(
        scene,
        between,
        frames.signed_control("assignments", Signed(_base64(data), true.sig)),
        "the signature does not hold",
    )


def test_a_signature_for_something_else_is_not_taken(scene: Scene, between: Between) -> None:
    """The controller signed the hello of this very connection; it is no set for that."""
    welcome = between.signed("welcome")
    refused(scene, between, frames.signed_control("assignments", welcome), "signed for")


def test_a_body_that_is_not_what_its_digest_says_is_not_taken(scene: Scene, between: Between) -> None:
    def other(frame: Frame) -> list[Frame]:
        return [frame.replace(b"wanted", b"forged")] if isinstance(frame, bytes) else [frame]

    between.downward = other
    scene.push("To be forged", config.motd("wanted"))
    scene.wait_for_file("db-1", "/etc/motd", "wanted")
    scene.wait("the forgery to be noticed", lambda: "it came damaged or cut" in scene["web-1"].log.read_text())
    assert "forged" not in scene["web-1"].read("/etc/motd")
    between.downward = lambda frame: [frame]
    scene.wait_for_file("web-1", "/etc/motd", "wanted")


def test_a_set_that_is_held_back_comes_with_the_next_connection(scene: Scene, between: Between) -> None:
    dropped: list[Frame] = []

    def drop(frame: Frame) -> list[Frame]:
        if isinstance(frame, bytes) or frames.read_control(frame)[0] != "assignments":
            return [frame]
        dropped.append(frame)
        return []

    between.downward = drop
    scene.push("To be dropped", config.motd("dropped once"))
    scene.wait_for_file("db-1", "/etc/motd", "dropped once")
    scene.wait("the drop", lambda: dropped)
    between.downward = lambda frame: [frame]
    for agent in between.agents:
        agent.close()
    scene.wait_for_file("web-1", "/etc/motd", "dropped once")


def test_a_report_cannot_be_made_up_nor_changed(scene: Scene, between: Between) -> None:
    def lie(frame: Frame) -> list[Frame]:
        if isinstance(frame, bytes) or frames.read_control(frame)[0] != "report":
            return [frame]
        said = frames.signed_of(frames.read_control(frame)[1])
        data = canonical({**payload(said), "status": "Success", "claims": []})
        return [frames.signed_control("report", Signed(_base64(data), said.sig))]

    between.upward = lie
    scene["web-1"].write("/etc/occupied/by", "a directory")
    files = {**config.association("failing", ["web-1"]), **config.document("failing", config.file("/etc/occupied", ""))}
    scene.push("What fails on web-1", files)
    scene.wait(
        "the lie to be refused", lambda: "a report that this node's key did not sign" in scene.daemon.last_words()
    )
    assert scene.assignment("web-1", "failing")["status"] == "Pending"
    between.upward = lambda frame: [frame]
    scene.wait_for_report("web-1", "failing", status="Failed")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
