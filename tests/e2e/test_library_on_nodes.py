"""Built-in documents on a real node, whose agent is older than its server: each does there what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.agent.test_upgrade import archive_of
from tests.e2e import config
from tests.e2e.on_nodes import SceneOnNodes
from tests.faults import FULL
from tests.fleet import Fleet

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "library.yaml").read_text())
OLD = "0.0.9"

pytestmark = [
    pytest.mark.realnode,
    pytest.mark.fault,
    pytest.mark.skipif(not FULL, reason="every built-in document takes a minute: OPSCTL_FAULTS=full"),
    pytest.mark.usefixtures("node_rootfs"),
]


@pytest.fixture(scope="module")
def scene(node_rootfs: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SceneOnNodes]:
    directory = tmp_path_factory.mktemp("e")
    files = {
        **config.fleet(),
        **config.node("web-1"),
        **config.document("motd", config.file("/etc/motd", "held")),
        **config.association("motd", ["*"]),
        **config.association("inventory", ["*"], "AWS-GatherSoftwareInventory", scheduleExpression="rate(1 day)"),
    }
    with Fleet() as fleet:
        fleet.up("web-1")
        with SceneOnNodes(directory, files, fleet) as scene:
            fleet.wait_booted()
            machine, token = scene.at("web-1"), scene.token(node="web-1")
            machine.join(scene.daemon.url, token, archive_of(directory / "old.pyz", OLD))
            scene.wait("the node to connect", lambda: scene.online("web-1"))
            yield scene


def ran(scene: SceneOnNodes, case: dict[str, Any]) -> dict[str, Any]:
    """A document's one invocation."""
    given = [word for key, value in case.get("parameters", {}).items() for word in ("-p", f"{key}={value}")]
    run = ("document", "run", case["document"], "--targets", "web-1", "--format", "json", *given)
    found = json.loads(scene.daemon.run(*run, check=False).stdout)
    (invocation,) = found["invocations"]
    return dict(invocation)


def inventory(scene: SceneOnNodes, *more: str) -> dict[str, Any]:
    """By type, what the server has of the node."""
    found = json.loads(scene.daemon.run("inventory", "web-1", "--format", "json", *more).stdout)
    return {one["typeName"]: one for one in found["types"]}


def test_an_association_collects_inventory(scene: SceneOnNodes) -> None:
    wanted = {"AWS:AWSComponent", "AWS:Application", "AWS:InstanceDetailedInformation", "AWS:Network", "AWS:Service"}
    scene.wait("it to be collected", lambda: set(inventory(scene)) == wanted)


def test_each_does_what_it_says(scene: SceneOnNodes) -> None:
    for case in CASES:
        invocation = ran(scene, case)
        assert invocation["status"] == case.get("status", "Success"), json.dumps(invocation, indent=1)
        said = "\n".join(str(invocation[name]) for name in ("reason", "standardOutput", "standardError"))
        assert case.get("says", "") in said, (case, said)
        if "after" in case:
            printed = scene.run("web-1", *case["after"]).strip()
            assert case["prints"] in printed, (case, printed)
            assert case["prints"] or not printed, (case, printed)


def test_what_was_collected_is_shown_and_kept_where_it_is_the_same(scene: SceneOnNodes) -> None:
    types = inventory(scene)
    installed = {item["Name"]: item["Version"] for item in types["AWS:Application"]["content"]}
    assert installed["dpkg"] in scene.run("web-1", "dpkg-query", "-W", "-f", "${Version}", "dpkg")
    services = {item["Name"]: item for item in types["AWS:Service"]["content"]}
    assert services["opsctl-agent.service"]["Status"] == "Running"
    first = types["AWS:Application"]
    ran(scene, {"document": "AWS-GatherSoftwareInventory"})

    def again() -> Any:
        found = inventory(scene, "--type", "AWS:Application")["AWS:Application"]
        return found["captureTime"] > first["captureTime"] and found

    assert scene.wait("it to be collected again", again)["contentHash"] == first["contentHash"]
    (agent,) = inventory(scene, "--type", "AWS:AWSComponent")["AWS:AWSComponent"]["content"]
    assert agent["Version"] != OLD, "it moved to its server's version"


def troubleshot(scene: SceneOnNodes, node_id: str) -> dict[str, Any]:
    start = ("automation", "start", "AWSSupport-TroubleshootManagedInstance", "-p", f"InstanceId={node_id}")
    return dict(json.loads(scene.daemon.run(*start, "--format", "json", check=False).stdout))


def test_a_node_is_examined_where_it_is_connected_and_else_it_is_said_what_to_do(scene: SceneOnNodes) -> None:
    node_id = json.loads(scene.daemon.run("node", "show", "web-1", "--format", "json").stdout)["id"]
    found = troubleshot(scene, node_id)
    assert found["status"] == "Success", json.dumps(found, indent=1)
    assert "clock" in json.dumps(found["outputs"]), json.dumps(found, indent=1)
    unknown = troubleshot(scene, "mi-00000000000000000")
    assert "No node mi-00000000000000000 is known here" in json.dumps(unknown), json.dumps(unknown, indent=1)
    scene.at("web-1").stop()
    scene.wait("the node to be gone", lambda: not scene.online("web-1"))
    away = troubleshot(scene, node_id)
    assert away["status"] == "Success"
    assert f"{node_id} is not connected; it was last seen at" in json.dumps(away), json.dumps(away, indent=1)
