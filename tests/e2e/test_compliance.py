"""What is written back to Git: pages that people read, a commit for each change of state, and none without one."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    files = {
        **config.fleet(),
        **config.node("web-1"),
        **config.node("db-1"),
        **config.node("spare-1"),
        **config.association("motd", ["*"], complianceSeverity="HIGH"),
        **config.motd("first"),
    }
    scene = set_scene(files)
    scene.join("web-1", "db-1")
    return scene


def summary(scene: Scene) -> dict[str, int]:
    text = scene.repository.compliance("summary.yaml")
    found: dict[str, int] = yaml.safe_load(text)["nodes"] if text else {}
    return found


def page(scene: Scene, name: str) -> dict[str, object]:
    node_id = scene.daemon.nodes()[name]["id"]
    text = scene.repository.compliance(f"nodes/{node_id[-2:]}/{name}.yaml")
    found: dict[str, object] = yaml.safe_load(text) if text else {}
    return found


def settled(scene: Scene, **nodes: int) -> None:
    scene.wait(f"the summary to say {nodes}", lambda: nodes.items() <= summary(scene).items())


def test_pages_say_how_the_fleet_stands(scene: Scene) -> None:
    settled(scene, total=3, compliant=2, nonCompliant=0, unknown=1)
    readme = scene.repository.compliance("README.md")
    assert "**2 of 3 nodes compliant** (66 %)" in readme
    found = page(scene, "web-1")
    assert (found["node"], found["compliance"]) == ("web-1", "COMPLIANT")
    state = found["associations"]
    assert isinstance(state, dict)
    assert state["Association/motd"]["severity"] == "HIGH"
    assert state["Association/motd"]["commit"] == scene.repository.git("rev-parse", "HEAD")


def test_a_failure_is_told_with_its_reason_and_its_end_too(scene: Scene) -> None:
    web = scene["web-1"]
    (web.root / "etc/motd").unlink()
    web.write("/etc/motd/in-the-way", "")
    settled(scene, compliant=1, nonCompliant=1)
    assert scene.repository.compliance_log()[0] == "web-1 is not compliant with motd; 1/3 compliant [skip ci]"
    readme = scene.repository.compliance("README.md")
    assert "| web-1 | motd | NON_COMPLIANT |" in readme
    assert "path:/etc/motd Failed" in readme
    assert "| web-1 | 1 | HIGH |" in readme
    (web.root / "etc/motd/in-the-way").unlink()
    (web.root / "etc/motd").rmdir()
    settled(scene, compliant=2, nonCompliant=0)
    assert scene.repository.compliance_log()[0] == "web-1 compliant with motd; 2/3 compliant [skip ci]"


def test_no_change_makes_no_commit(scene: Scene) -> None:
    """Not for rounds that find nothing, nor for drift that is healed, nor for links that come and go, nor a restart."""
    before = scene.repository.compliance_log()
    scene["web-1"].write("/etc/motd", "by hand")
    scene.wait_for_file("web-1", "/etc/motd", "first")
    scene["db-1"].stop()
    scene.wait("it to be missed", lambda: not scene.online("db-1"))
    scene.daemon.stop()
    scene.daemon.start()
    scene["db-1"].start()
    scene.wait("it to be back", lambda: scene.online("db-1"))
    checked = scene.node("db-1")["checkedAt"]
    scene.wait("some rounds", lambda: (scene.node("db-1")["checkedAt"] or "") > (checked or ""))
    scene.push("Something that is not theirs", {"README.md": "nothing"})
    assert scene.repository.compliance_log() == before


def test_compliance_is_never_read_as_config(scene: Scene) -> None:
    """Its commits cause no sync: what is in force is of the tracked branch, and there is nothing new."""
    revision, head = scene.status()["revision"], scene.status()["head"]
    scene.push("A change of state", config.motd("second"))
    before = len(scene.repository.compliance_log())
    scene.wait("its page", lambda: len(scene.repository.compliance_log()) > before)
    assert scene.status()["head"] == scene.repository.git("rev-parse", "HEAD") != head != revision[:0]


def test_a_remote_that_was_away_gets_it_all_at_once(scene: Scene) -> None:
    remote = scene.repository.remote
    gone = remote.rename(scene.directory / "away.git")
    web = scene["web-1"]
    (web.root / "etc/motd").unlink()
    web.write("/etc/motd/in-the-way", "")
    scene.wait_for_report("web-1", "motd", status="Failed")
    gone.rename(remote)
    settled(scene, compliant=1, nonCompliant=1)
    (web.root / "etc/motd/in-the-way").unlink()
    (web.root / "etc/motd").rmdir()
    settled(scene, compliant=2)


def test_a_retired_node_leaves_the_pages(scene: Scene) -> None:
    scene.join("extra-1")
    settled(scene, total=4, compliant=3)
    path = f"nodes/{scene.daemon.nodes()['extra-1']['id'][-2:]}/extra-1.yaml"
    assert scene.repository.compliance(path)
    scene.opsctl("node", "retire", "extra-1", "--auto-approve")
    settled(scene, total=3, compliant=2)
    assert not scene.repository.compliance(path)


def test_each_commit_says_who_wrote_it(scene: Scene) -> None:
    shown = subprocess.run(
        ["git", "-C", str(scene.repository.remote), "log", "--format=%an%n%b", "compliance"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert scene.status()["fleet"] in shown.stdout


def test_node_list_and_show_are_for_programs_too(scene: Scene) -> None:
    listed = json.loads(scene.opsctl("node", "list", "--format", "json"))
    assert listed["format"] == "opsctl.nodes/v1"
    assert {row["name"]: row["state"] for row in listed["nodes"]} == {
        "db-1": "Online",
        "spare-1": "NotEnrolled",
        "web-1": "Online",
    }
    shown = json.loads(scene.opsctl("node", "show", "web-1", "--format", "json"))
    assert shown["format"] == "opsctl.node/v1"
    assert shown["id"] == scene.daemon.nodes()["web-1"]["id"]
    (assignment,) = shown["assignments"]
    assert assignment["uid"] == "Association/motd"
    assert assignment["compliance"] == "COMPLIANT"
    assert shown["facts"]["platformType"] == "Linux"
    assert "did you mean web-1?" in scene.opsctl("node", "show", "web-l", code=1)
