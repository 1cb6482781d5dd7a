"""Automations as people run them: on real agents, stopped by people, and by a kill of the daemon at any step."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import Any

import pytest

from tests.e2e import config
from tests.e2e.conftest import Set
from tests.e2e.scene import Scene
from tests.faults import FULL, count

STEPS = 30


def step(name: str, action: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "action": f"aws:{action}", "inputs": inputs or {}, **more}


def runbook(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, str]:
    return {f"documents/{name}.json": json.dumps({"schemaVersion": "0.3", "mainSteps": list(steps), **more})}


def shell(name: str, command: str, node: str = "{{ Node }}", **more: Any) -> dict[str, Any]:
    inputs = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [node], "Parameters": {"commands": [command]}}
    return step(name, "runCommand", inputs, **more)


def documents() -> dict[str, str]:
    choice = {"Variable": "{{ look.Output }}", "Contains": "yes", "NextStep": "good"}
    node = {"Node": {"type": "String"}}
    long = [
        shell(f"s{number}", f"echo {number} >>{{{{ Log }}}}")
        if number % 10 == 9
        else step(f"s{number}", "sleep", {"Duration": "PT0S"})
        if number % 2
        else step(f"s{number}", "updateVariable", {"Name": "variable:at", "Value": number})
        for number in range(STEPS)
    ]
    return {
        **runbook(
            "look",
            shell("look", "echo {{ Say }}"),
            step("pick", "branch", {"Choices": [choice], "Default": "bad"}),
            shell("bad", "exit 3", isEnd=True),
            shell("good", "echo good", isEnd=True),
            parameters={**node, "Say": {"type": "String", "default": "yes"}},
            outputs=["look.Output"],
        ),
        **runbook("ask", step("ok", "approve", {"Approvers": ["nobody"]}), step("after", "pause")),
        **runbook("each", step("child", "executeAutomation", {
            "DocumentName": "look", "TargetParameterName": "Node", "MaxConcurrency": "1",
            "Targets": [{"Key": "tag:Role", "Values": ["web"]}],
        })),
        **runbook(
            "long", *long,
            parameters={**node, "Log": {"type": "String"}},
            variables={"at": {"type": "Integer", "default": 0}},
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def scene(set_scene: Set) -> Scene:
    files = {**config.fleet(), **documents()}
    for name in ("web-1", "web-2"):
        files |= config.node(name, {"Role": "web"})
    scene = set_scene(files)
    scene.join("web-1", "web-2")
    return scene


def started(scene: Scene, document: str, **asked: Any) -> str:
    return str(scene.daemon.ask("/automations", {"document": document, **asked})["execution"])


def execution(scene: Scene, known: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.daemon.ask(f"/automations/{known}")
    return found


def over(scene: Scene, known: str) -> dict[str, Any]:
    scene.wait("the execution to be over", lambda: execution(scene, known)["finished"])
    return execution(scene, known)


def test_commands_branches_and_why(scene: Scene) -> None:
    said = scene.opsctl("automation", "start", "look", "-p", "Node=web-1")
    assert "pick: Success" in said
    assert "good: Success" in said
    assert "\nSuccess\n" in said
    failed = scene.daemon.run("document", "run", "look", "-p", "Node=web-1", "-p", "Say=no", check=False)
    assert (failed.returncode, "bad: Failed" in failed.stdout) == (1, True)
    known = json.loads(scene.opsctl("automation", "list", "--format", "json"))["executions"][0]["execution"]
    shown = scene.opsctl("automation", "show", known)
    assert "why  choice 1 not:" in shown
    assert "so `bad` follows" in shown
    assert "out  ResponseCode: 3" in shown


def test_people_in_the_way(scene: Scene) -> None:
    known = started(scene, "ask")
    assert "waits for approval by 1 of nobody" in scene.opsctl("automation", "show", known)
    refused = scene.daemon.run("automation", "approve", known, check=False)
    assert (refused.returncode, "is none of its approvers: nobody" in refused.stderr) == (1, True)
    scene.opsctl("automation", "stop", known, "--comment", "enough")
    assert over(scene, known)["status"] == "Cancelled"


def test_once_per_node(scene: Scene) -> None:
    known = started(scene, "each")
    found = over(scene, known)
    assert found["status"] == "Success"
    (whole,) = scene.daemon.ask(f"/automations?parent={known}")["items"]
    children = execution(scene, whole["execution"])["children"]
    assert [child["status"] for child in children] == ["Success", "Success"]


def killed_at(scene: Scene, boundary: int) -> None:
    log = scene.directory / f"long-{boundary}"
    known = started(scene, "long", parameters={"Node": ["web-1"], "Log": [str(log)]}, mode="Interactive")
    for number in range(STEPS):
        if number == boundary:
            assert scene.daemon.kill() == -signal.SIGKILL
            scene.daemon.start()
        scene.daemon.ask(f"/automations/{known}/signal", {"signal": "StartStep"})
        scene.wait(f"step {number}", lambda: execution(scene, known)["steps"][number]["status"] == "Success")  # noqa: B023
    assert over(scene, known)["status"] == "Success"
    assert log.read_text().split() == ["9", "19", "29"]


@pytest.mark.fault
@pytest.mark.parametrize("boundary", range(STEPS) if FULL else (10,))
def test_killed_between_two_steps_it_goes_on(scene: Scene, boundary: int) -> None:
    killed_at(scene, boundary)


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(count(few=0, full=20)))
def test_killed_at_any_time_no_script_runs_twice(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    log = scene.directory / f"any-{seed}"
    known = started(scene, "long", parameters={"Node": ["web-1"], "Log": [str(log)]})
    for _ in range(3):
        time.sleep(chance.uniform(0, 0.3))
        assert scene.daemon.kill() == -signal.SIGKILL
        scene.daemon.start()
    found = over(scene, known)
    assert [one["status"] for one in found["steps"]] == ["Success"] * STEPS
    assert log.read_text().split() == ["9", "19", "29"]
