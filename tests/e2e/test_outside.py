"""A runbook that reaches out: a script on a runner, SSM's own API, a webhook; over a daemon, agents and TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.listener.certificates import ThrowawayCa
from tests.adapters.outside.server import Served, serving
from tests.e2e import config
from tests.e2e.scene import Scene

SCRIPT = """import os
def handler(events, context):
    print("greeting", events["who"])
    return {"text": "hello " + events["who"], "user": os.getuid()}
"""


def runbook() -> str:
    call = {"Service": "ssm", "CommandId": "{{ send.Id }}", "InstanceId": "web-1", "Api": "GetCommandInvocation"}
    steps = [
        {
            "name": "greet",
            "action": "aws:executeScript",
            "inputs": {
                "Runtime": "python3.11",
                "Handler": "handler",
                "Script": SCRIPT,
                "InputPayload": {"who": "{{ Who }}"},
            },
            "outputs": [{"Name": "text", "Selector": "$.Payload.text", "Type": "String"}],
        },
        {
            "name": "send",
            "action": "aws:executeAwsApi",
            "inputs": {
                "Service": "ssm",
                "Api": "SendCommand",
                "DocumentName": "say",
                "InstanceIds": ["web-1"],
                "Parameters": {"what": ["{{ greet.text }}"]},
            },
            "outputs": [{"Name": "Id", "Selector": "$.Command.CommandId", "Type": "String"}],
        },
        {
            "name": "said",
            "action": "aws:waitForAwsResourceProperty",
            "inputs": {**call, "PropertySelector": "$.Status", "DesiredValues": ["Success", "Failed"]},
            "timeoutSeconds": 60,
        },
        {
            "name": "read",
            "action": "aws:executeAwsApi",
            "inputs": call,
            "outputs": [{"Name": "output", "Selector": "$.StandardOutputContent", "Type": "String"}],
        },
        {
            "name": "tell",
            "action": "aws:invokeWebhook",
            "inputs": {"IntegrationName": "chat", "Body": "{{ read.output }}"},
        },
    ]
    parameters = {"Who": {"type": "String"}}
    return json.dumps(
        {"schemaVersion": "0.3", "parameters": parameters, "mainSteps": steps, "outputs": ["tell.Response"]}
    )


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(ThrowawayCa(tmp_path_factory.mktemp("tls")).issue()) as served:
        yield served


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, hook: Served) -> Iterator[Scene]:
    chat = {"url": hook.url, "allowPrivate": True, "caFile": str(hook.ca), "headerFiles": {"Authorization": "token"}}
    files = {
        **config.fleet(),
        **config.document("say", config.script("echo said {{ what }}"), what="x"),
        **config.node("web-1", {"opsctl/runner": "true"}),
        "documents/reach.json": runbook(),
    }
    with Scene(tmp_path_factory.mktemp("scene"), files, {"webhooks": {"chat": chat}}) as scene:
        (scene.daemon.state / "token").write_text("a-secret\n")
        scene.join("web-1")
        yield scene


def ended(scene: Scene, execution: str) -> dict[str, Any]:
    scene.wait("the execution to end", lambda: scene.daemon.ask(f"/automations/{execution}")["finished"], 60)
    found: dict[str, Any] = scene.daemon.ask(f"/automations/{execution}")
    return found


def test_a_runbook_reaches_out(scene: Scene, hook: Served) -> None:
    started = scene.opsctl("automation", "start", "reach", "-p", "Who=you", "--format", "json")
    found = ended(scene, json.loads(started)["execution"])
    assert found["status"] == "Success", found
    ((path, headers, body),) = hook.came
    assert (path, headers["authorization"], body) == ("/hook", "a-secret", b"said hello you\n")
    assert found["outputs"] == {"tell.Response": "ok"}
    greeted = found["steps"][0]["outputs"]["Payload"]
    assert greeted["text"] == "hello you"
    assert "a-secret" not in json.dumps(found)
    (script,) = (row["command"] for row in scene.daemon.ask("/commands")["items"] if row["document"] == "reach")
    (step,) = json.loads(scene.opsctl("run", "show", script, "--format", "json"))["invocations"][0]["steps"]
    assert json.loads(step["payload"]) == greeted
    runs = {row["document"]: row["targets"] for row in scene.daemon.ask("/commands")["items"]}
    assert runs == {"reach": "web-1", "say": "InstanceIds=web-1"}
