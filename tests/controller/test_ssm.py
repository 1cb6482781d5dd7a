"""SSM's API as runbooks call it: each call, the rights it takes, and what a restart makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.api.requests import Start
from reconciler.controller.ssm import nodes
from reconciler.controller.ssm.api import CALLS
from reconciler.core.access import Subject
from reconciler.core.executions import Answer
from reconciler.documents.runbook.ssm_calls import ANSWERED
from tests.controller.house import ROOT, House, small
from tests.controller.test_automations import SCRIPT, end_job, runbook, step
from tests.documents.corpus import DIRECTORY, MISSING
from tests.engine.repository import node, operator, role

CASES = yaml.safe_load((Path(__file__).parent / "ssm_calls.yaml").read_text())
ACCESS = {
    "access/roles.yaml": role("starter", "{verbs: [start], kinds: [Automation], nodes: ['*']}"),
    "access/operators.yaml": operator("carol", "starter"),
}
CAROL = Subject("carol")
HYBRID = DIRECTORY / (
    "aws-samples_aws-fault-injection-simulator-workshop__workshop_content_030_basic_content_090_scenarios_"
    "020_targeting_hybrid_instances_hybrid-target-noconverter.yaml"
)
FILES = {
    "documents/ls.yaml": SCRIPT,
    "documents/one.json": runbook(step("s", "sleep", {"Duration": "PT1S"}), parameters={"Node": {"type": "String"}}),
    "parameters/prod.yaml": "prod: {db: {url: 'postgres://db', ports: ['1', '2']}, name: shop}\n",
    "nodes/web-1.yaml": node("web-1", "{Env: prod}"),
    **ACCESS,
}


def housed(**files: str) -> House:
    house = House(small("web-1", "web-2") | FILES | files)
    house.join("web-1", "web-2")
    house.settle(3)
    return house


def call(api: str, **given: Any) -> dict[str, Any]:
    return step("call", "executeAwsApi", {"Service": "ssm", "Api": api, **given})


def document(*steps: dict[str, Any], **more: Any) -> dict[str, str]:
    return {"documents/go.json": runbook(*steps, **more)}


def begin(house: House, by: Subject = ROOT, name: str = "go") -> str:
    execution = house.service.automations.start(by, Start.model_validate({"document": name}))["execution"]
    house.deliver()
    return str(execution)


def steps(house: House, execution: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.service.automations.show(ROOT, execution)["steps"]
    return found


def answered(house: House, monkeypatch: pytest.MonkeyPatch, execution_of: Subject = ROOT) -> list[Answer]:
    """What steps are answered, whole, as they begin."""
    found: list[Answer] = []
    performing = house.controller._automations._performing
    kept = performing._answer

    def answer(work: Any, said: Any) -> None:
        found.append(said if isinstance(said, Answer) else Answer("Failed", reason=str(said)))
        kept(work, said)

    monkeypatch.setattr(performing, "_answer", answer)
    return found


@pytest.fixture(scope="module")
def busy() -> House:
    """A house in which every call of the cases is a runbook, and a command has been run."""
    made = {
        f"documents/case{number}.json": runbook(call(case["api"], **case.get("given", {})))
        for number, case in enumerate(CASES)
    }
    house = housed(**made)
    begun = runbook(step("go", "runCommand", {"DocumentName": "ls", "InstanceIds": ["web-1"]}))
    house.push({"documents/begun.json": begun})
    house.tick(60)
    begin(house, name="begun")
    end_job(house)
    return house


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case["name"] for case in CASES])
def test_case(busy: House, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case, answers = CASES[number], answered(busy, monkeypatch)
    begin(busy, CAROL if case.get("as") == "carol" else ROOT, f"case{number}")
    (answer,) = answers
    if "fails" in case:
        assert answer.status == "Failed"
        assert case["fails"] in answer.reason
    else:
        assert answer.status == "Success", answer.reason
        assert_within(case["gives"], answer.outputs)


def assert_within(wanted: Any, found: Any) -> None:
    """Everything wanted is there; of a mapping there may be more, and `...` is anything."""
    if isinstance(wanted, dict):
        assert wanted.keys() <= found.keys(), (wanted, found)
        for name, value in wanted.items():
            assert_within(value, found[name])
    elif isinstance(wanted, list):
        assert len(wanted) == len(found), (wanted, found)
        for one, other in zip(wanted, found, strict=True):
            assert_within(one, other)
    else:
        assert wanted in (found, "..."), (wanted, found)


def test_what_is_answered_is_what_lint_takes_for_answered() -> None:
    assert {api for api, call in CALLS.items() if call is not nodes.not_tagged} == ANSWERED


def test_every_call_has_a_case() -> None:
    assert {case["api"] for case in CASES} >= CALLS.keys() - {
        "CancelCommand", "GetAutomationExecution", "GetCommandInvocation", "SendAutomationSignal", "SendCommand",
        "StartAutomationExecution", "StopAutomationExecution",
    }  # fmt: skip


ID = [{"Name": "Id", "Selector": "$.Command.CommandId", "Type": "String"}]
STATUS = [{"Name": "Status", "Selector": "$.Status", "Type": "String"}]
SENT = {**call("SendCommand", DocumentName="ls", InstanceIds=["web-1"], Parameters={"word": ["hi"]}), "outputs": ID}
LOOK = {"CommandId": "{{ call.Id }}", "InstanceId": "web-1"}
GOT = {**call("GetCommandInvocation", **LOOK), "name": "got", "outputs": STATUS}
WAITED = {
    **call("GetCommandInvocation", **LOOK, PropertySelector="$.Status", DesiredValues=["Success"]),
    "name": "waited",
    "action": "aws:waitForAwsResourceProperty",
}


def test_a_command_that_is_sent_waited_for_and_looked_at() -> None:
    house = housed(**document(SENT, WAITED, GOT, outputs=["got.Status"]))
    execution = begin(house)
    assert [one["status"] for one in steps(house, execution)] == ["Success", "InProgress", "Pending"]
    end_job(house)
    house.settle(6)
    found = house.service.automations.show(ROOT, execution)
    assert (found["status"], found["outputs"]) == ("Success", {"got.Status": "Success"})
    assert house.service.commands.show(ROOT, found["steps"][0]["outputs"]["Id"])["comment"] == ""


def test_a_call_that_is_made_again_is_the_same_one() -> None:
    house = housed(**document(SENT))
    performing = house.controller._automations._performing
    performing.on_answer = lambda _execution, _event: None  # it dies before it takes the answer up
    execution = begin(house)
    assert [one["status"] for one in steps(house, execution)] == ["InProgress"]
    house.restart()
    house.settle(1)
    (command,) = house.service.commands.list(ROOT, 10)
    assert steps(house, execution)[0]["outputs"]["Id"] == command["command"]


def test_a_command_that_is_cancelled() -> None:
    house = housed(**document(SENT, {**call("CancelCommand", CommandId="{{ call.Id }}"), "name": "cancel"}))
    begin(house)
    (command,) = house.service.commands.list(ROOT, 10)
    assert command["cancelledBy"] == "root@socket"


def test_who_may_start_may_not_therefore_send() -> None:
    house = housed(**document(SENT))
    (found,) = steps(house, begin(house, CAROL))
    assert found["reason"] == "refused: carol may not run Document (rule: access); ask for a Role that grants it"
    assert house.service.commands.list(ROOT, 10) == []


EXECUTION = [{"Name": "Id", "Selector": "$.AutomationExecutionId", "Type": "String"}]
PAUSED = {"documents/wait.json": runbook(step("p", "pause"))}
STARTED = {**call("StartAutomationExecution", DocumentName="wait"), "outputs": EXECUTION}


def of(api: str, name: str, **given: Any) -> dict[str, Any]:
    return {**call(api, AutomationExecutionId="{{ call.Id }}", **given), "name": name}


def test_an_execution_that_is_started_looked_at_and_answered() -> None:
    status = {"Name": "Status", "Selector": "$.AutomationExecution.AutomationExecutionStatus", "Type": "String"}
    looked = {**of("GetAutomationExecution", "looked"), "outputs": [status]}
    resumed = of("SendAutomationSignal", "resumed", SignalType="Resume", Payload={"Comment": ["go on"]})
    house = housed(**document(STARTED, looked, resumed), **PAUSED)
    execution = begin(house)
    house.settle(2)
    found = steps(house, execution)
    assert [one["status"] for one in found] == ["Success", "Success", "Success"], found
    assert found[1]["outputs"]["Status"] == "Waiting"
    other = house.service.automations.show(ROOT, found[0]["outputs"]["Id"])
    assert (other["status"], other["steps"][0]["why"]) == ("Success", "resumed by root@socket")


def test_an_execution_that_is_stopped() -> None:
    house = housed(**document(STARTED, of("StopAutomationExecution", "stopped", Type="Cancel")), **PAUSED)
    execution = begin(house)
    house.settle(2)
    other = steps(house, execution)[0]["outputs"]["Id"]
    assert house.service.automations.show(ROOT, other)["status"] == "Cancelled"


def test_what_starts_itself_by_a_call_ends() -> None:
    house = housed(**document(call("StartAutomationExecution", DocumentName="go")))
    begin(house)
    house.settle(3)
    rows = house.service.automations.list(ROOT, 50)
    assert len(rows) == 11
    assert "10 deep at most" in json.dumps([steps(house, row["execution"]) for row in rows])


def test_a_property_that_is_not_as_it_should_be() -> None:
    named = {"Filters": [{"Key": "InstanceIds", "Values": ["web-1"]}]}
    path = {"PropertySelector": "$.InstanceInformationList[0].PingStatus", "DesiredValues": ["ConnectionLost"]}
    asserted = {**call("DescribeInstanceInformation", **named, **path), "action": "aws:assertAwsResourceProperty"}
    house = housed(**document(asserted))
    (found,) = steps(house, begin(house))
    assert found["reason"] == "the property is `Online`; expected `ConnectionLost`"


def test_a_service_of_aws_that_nobody_calls() -> None:
    other = step("call", "executeAwsApi", {"Service": "ec2", "Api": "DescribeInstances"})
    house = housed(**document(other))
    (found,) = steps(house, begin(house))
    assert found["reason"] == "Unsupported: `ec2` is a service of AWS's: needs the aws extra"


@pytest.mark.skipif(not HYBRID.exists(), reason=MISSING)
def test_a_document_that_was_written_for_hybrid_instances_drives_these_nodes() -> None:
    house = housed(**{"documents/hybrid.yaml": HYBRID.read_text()})
    content = {"DocumentName": ["ls"], "DocumentParameters": ['{"word": ["hi"]}'], "AutomationAssumeRole": ["x"]}
    asked = Start.model_validate({"document": "hybrid", "parameters": content})
    execution = str(house.service.automations.start(ROOT, asked)["execution"])
    house.deliver()
    for name in ("web-1", "web-2"):
        end_job(house, name)
    found = house.service.automations.show(ROOT, execution)
    assert (found["status"], len(found["outputs"]["SelectHybridInstances.InstanceIds"])) == ("Success", 2), found
    (command,) = house.service.commands.list(ROOT, 10)
    assert command["targetCount"] == 2
