"""Automations through the controller: every kind of wait, who may answer, what a restart and a bad disk do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.contract.job import Accepted
from agent.contract.wire import StepReport
from reconciler.api.requests import Start
from reconciler.core.access import Subject
from reconciler.core.problem import Invalid, Refused, Unavailable
from reconciler.core.records import Changes
from tests.controller.house import ROOT, House, small
from tests.engine.repository import FLEET, operator, role

SCRIPT = """schemaVersion: "2.2"
parameters: {word: {type: String, default: x}}
mainSteps:
  - {name: a, action: "aws:runShellScript", inputs: {runCommand: ["echo {{ word }}"]}}
"""


def runbook(*steps: dict[str, Any], **more: Any) -> str:
    return json.dumps({"schemaVersion": "0.3", "mainSteps": list(steps), **more})


def step(name: str, action: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "action": f"aws:{action}", "inputs": inputs or {}, **more}


COMMAND = step("go", "runCommand", {"DocumentName": "ls", "InstanceIds": ["web-1"], "Parameters": {"word": ["hi"]}})
DOCUMENTS = {
    "documents/ls.yaml": SCRIPT,
    "documents/go.json": runbook(COMMAND, outputs=["go.Output", "go.ResponseCode", "go.Status"]),
    "documents/sleep.json": runbook(step("s", "sleep", {"Duration": "PT10S"}), step("p", "pause")),
    "documents/ask.json": runbook(step("ok", "approve", {"Approvers": ["alice", "ops"], "Message": "sure?"})),
    "documents/parent.json": runbook(
        step("child", "executeAutomation", {"DocumentName": "one", "RuntimeParameters": {"Node": ["n1"]}}),
        outputs=["child.Output"],
    ),
    "documents/one.json": runbook(
        step("s", "sleep", {"Duration": "PT1S"}), parameters={"Node": {"type": "String"}}, outputs=["Node"]
    ),
    "documents/itself.json": runbook(step("again", "executeAutomation", {"DocumentName": "itself"})),
    "documents/unsupported.json": runbook(step("image", "deleteImage", {"ImageId": "ami-1"})),
}
ROLES = "---\n".join(
    (
        role("approver", "{verbs: [approve, read], kinds: [Automation]}"),
        role("starter", "{verbs: [start], kinds: [Automation], nodes: [web-1]}"),
        role("bringer", "{verbs: [start], kinds: [Content]}, {verbs: [run], kinds: [Document], nodes: ['*']}"),
        role("content", "{verbs: [run], kinds: [Content], nodes: ['*']}"),
        role("other", "{verbs: [start], kinds: [Automation], nodes: [web-1]}"),
    )
)
OPERATORS = "---\n".join(
    (
        operator("alice", "approver"),
        operator("bob", "approver"),
        operator("carol", "starter"),
        operator("dave", "other"),
        operator("erin", "bringer"),
        operator("frank", "bringer", "content"),
    )
)
ALICE, BOB, CAROL = Subject("alice"), Subject("bob"), Subject("carol")


@pytest.fixture
def house() -> House:
    access = {"access/roles.yaml": ROLES, "access/operators.yaml": OPERATORS}
    house = House(small("web-1", "web-2", **DOCUMENTS, **access))
    house.join("web-1", "web-2")
    house.settle(3)
    return house


def start(house: House, document: str, by: Subject = ROOT, **asked: Any) -> str:
    started = house.service.automations.start(by, Start.model_validate({"document": document, **asked}))
    house.deliver()
    return str(started["execution"])


def show(house: House, execution: str) -> dict[str, Any]:
    return house.service.automations.show(ROOT, execution)


def status(house: House, execution: str) -> str:
    return str(show(house, execution)["status"])


def end_job(house: House, name: str = "web-1", **said: Any) -> None:
    machine = house[name]
    (job,) = machine.orders.jobs
    job_id = str(job.envelope.job_id)
    house.intake.accepted(machine.id, Accepted(job_id))
    steps = [StepReport("a", "aws:runShellScript", said.get("status", "Success"), rc=said.pop("rc", 0))]
    said = {"status": "Success", "output": "hi\n", **said}
    machine.say(f"Job/{job_id}", cause="Job", claims=[], job_id=job_id, steps=steps, generation=1, **said)
    house.tick()


def test_a_document_on_nodes_and_its_answer(house: House) -> None:
    execution = start(house, "go")
    assert status(house, execution) == "InProgress"
    end_job(house)
    found = show(house, execution)
    command = found["steps"][0]["outputs"]["CommandId"]
    assert found["outputs"] == {"go.Output": "hi\n", "go.ResponseCode": 0, "go.Status": "Success"}
    assert (found["status"], found["finished"]) == ("Success", True)
    assert house.service.commands.show(ROOT, command)["status"] == "Success"
    assert house.audit("start") == [("root@socket", "go", "started")]
    assert house.audit("automation") == [("root@socket", "go", "Success")]


def test_a_command_that_fails_fails_its_step(house: House) -> None:
    execution = start(house, "go")
    end_job(house, status="Failed", rc=3, reason="it left with 3")
    (found,) = show(house, execution)["steps"]
    assert (found["status"], found["outputs"]["ResponseCode"]) == ("Failed", 3)
    assert found["reason"].endswith("ended as Failed on 1 of 1 nodes: web-1: it left with 3")


def test_a_restart_asks_for_nothing_twice(house: House) -> None:
    execution = start(house, "go")
    house.restart()
    house.settle(1)
    assert len(house.service.commands.list(ROOT, 10)) == 1
    end_job(house)
    assert status(house, execution) == "Success"


def test_what_ended_while_nobody_was_here_is_heard_of(house: House) -> None:
    execution = start(house, "go")
    performing = house.controller._automations._performing
    performing.on_answer = lambda _execution, _event: None  # it dies before it takes the answer up
    end_job(house)
    assert status(house, execution) == "InProgress"
    house.restart()
    assert status(house, execution) == "Success"


def test_time_passes_and_somebody_resumes(house: House) -> None:
    execution = start(house, "sleep")
    house.tick(9)
    assert [one["status"] for one in show(house, execution)["steps"]] == ["InProgress", "Pending"]
    house.restart()
    house.tick(2)
    assert [one["status"] for one in show(house, execution)["steps"]] == ["Success", "Waiting"]
    assert show(house, execution)["waitsFor"] == "somebody to resume `p`"
    found = house.service.automations.signal(ROOT, execution, "Resume", "go on")
    assert (found["status"], found["steps"][1]["why"]) == ("Success", "resumed by root@socket")
    with pytest.raises(Refused, match="it is over: Success"):
        house.service.automations.signal(ROOT, execution, "Resume", "")


def test_only_approvers_approve(house: House) -> None:
    execution = start(house, "ask")
    house.tick(2)
    assert [note.subject for note in house.notifier.told] == ["ask waits at ok for approval by 1 of alice, ops"]
    assert show(house, execution)["waitsFor"] == "approval by 1 of alice, ops: sure?"
    with pytest.raises(Refused, match="bob is none of its approvers"):
        house.service.automations.signal(BOB, execution, "Approve", "")
    with pytest.raises(Refused, match="may not approve"):
        house.service.automations.signal(CAROL, execution, "Approve", "")
    found = house.service.automations.signal(ALICE, execution, "Approve", "fine")
    assert found["status"] == "Success"
    assert house.audit("approve")[0] == ("alice", "ask", "said")
    rejected = start(house, "ask")
    assert house.service.automations.signal(ALICE, rejected, "Reject", "no")["status"] == "Failed"


def test_a_child_and_its_outputs(house: House) -> None:
    execution = start(house, "parent")
    house.tick(1)
    house.tick(1)
    found = show(house, execution)
    assert (found["status"], found["outputs"]) == ("Success", {"child.Output": ["n1"]})
    (child,) = house.service.automations.list(ROOT, 10, execution)
    assert (child["document"], child["parent"], child["status"]) == ("one", execution, "Success")


def test_what_starts_itself_ends(house: House) -> None:
    execution = start(house, "itself")
    house.tick(1)
    assert status(house, execution) == "Failed"
    assert "10 deep at most" in json.dumps(
        [show(house, row["execution"]) for row in house.service.automations.list(ROOT, 50)]
    )


def test_once_per_node_so_many_at_once(house: House) -> None:
    execution = start(house, "one", targets=["*"], targetParameterName="Node", maxConcurrency="1")
    assert [child["status"] for child in show(house, execution)["children"]] == ["InProgress"]
    house.restart()
    house.tick(1)
    assert [child["status"] for child in show(house, execution)["children"]] == ["Success", "InProgress"]
    house.tick(1)
    found = show(house, execution)
    assert (found["status"], [child["target"] for child in found["children"]]) == (
        "Success",
        [house["web-1"].id, house["web-2"].id],
    )
    with pytest.raises(Refused, match="beyond your reach"):
        start(house, "one", CAROL, targets=["*"], targetParameterName="Node")
    with pytest.raises(Invalid, match="go together"):
        start(house, "one", targets=["*"])


def test_step_by_step(house: House) -> None:
    execution = start(house, "sleep", mode="Interactive")
    assert show(house, execution)["waitsFor"] == "somebody to let `s` begin"
    house.service.automations.signal(ROOT, execution, "StartStep", "")
    house.tick(11)
    house.service.automations.signal(ROOT, execution, "StartStep", "")
    found = house.service.automations.signal(ROOT, execution, "StopStep", "")
    assert [one["status"] for one in found["steps"]] == ["Success", "Cancelled"]


def test_stopped_work_is_ended_too(house: House) -> None:
    execution = start(house, "go")
    house.service.automations.stop(ROOT, execution, "enough")
    assert status(house, execution) == "Cancelled"
    house.tick(1)
    (command,) = house.service.commands.list(ROOT, 10)
    assert command["cancelledBy"] == "root@socket"
    parent = start(house, "one", targets=["*"], targetParameterName="Node")
    house.service.automations.stop(ROOT, parent, "")
    house.tick(1)
    assert [child["status"] for child in show(house, parent)["children"]] == ["Cancelled", "Cancelled"]


def test_what_nobody_does_fails_saying_so(house: House) -> None:
    execution = start(house, "unsupported")
    house.tick(1)
    assert show(house, execution)["reason"] == "Unsupported: `aws:deleteImage` is not done by this system"


EACH = """apiVersion: ops/v1
kind: Association
metadata: {name: each}
spec:
  document: one
  targets: ["*"]
  automationTargetParameterName: Node
  scheduleExpression: rate(30 minutes)
"""


def started_by(house: House, uid: str) -> list[str]:
    rows = house.service.automations.list(ROOT, 100, "")
    return [row["status"] for row in rows if row["subject"] == uid]


def test_an_association_starts_at_each_change_and_at_its_instants(house: House) -> None:
    house.push({"associations/each.yaml": EACH})
    house.service.sync(ROOT)
    house.settle(5)
    assert started_by(house, "Association/each") == ["Success"]
    assert house.service.plan(ROOT, None, None)["warnings"] == []
    house.restart()
    house.tick(900)
    assert started_by(house, "Association/each") == ["Success"]
    house.tick(110)
    assert started_by(house, "Association/each") == ["Success", "Success"]
    house.timer.close()
    house.timer.advance(3 * 3600)
    house.start()
    house.settle(5)
    assert started_by(house, "Association/each") == ["Success"] * 3
    house.push({"associations/each.yaml": EACH.replace("30 minutes", "2 hours")})
    house.service.sync(ROOT)
    house.settle(5)
    assert started_by(house, "Association/each") == ["Success"] * 4
    assert house.audit("start")[0] == ("Association/each", "one", "started")


def test_a_freeze_keeps_everything_from_starting(house: House) -> None:
    frozen = FLEET + 'spec: {freeze: {reason: holidays, until: "2023-11-14T22:20:00Z"}}\n'
    house.push({"fleet.yaml": frozen, "associations/each.yaml": EACH})
    house.service.sync(ROOT)
    house.settle(5)
    assert started_by(house, "Association/each") == []
    with pytest.raises(Refused, match="holidays"):
        start(house, "one", parameters={"Node": ["n"]})
    house.tick(420)
    assert started_by(house, "Association/each") == ["Success"]


def test_one_that_still_goes_on_is_not_doubled(house: House) -> None:
    pausing = EACH.replace("document: one", "document: sleep").replace("  automationTargetParameterName: Node\n", "")
    house.push({"associations/each.yaml": pausing.replace('  targets: ["*"]\n', "")})
    house.service.sync(ROOT)
    house.tick(1100)
    assert started_by(house, "Association/each") == ["Waiting"]
    assert {row[2] for row in house.audit("start")} == {"started", "skipped"}


def test_a_role_that_is_assumed_grants_that_alone(house: House) -> None:
    assuming = {"documents/as.json": runbook(COMMAND, assumeRole="arn:aws:iam::123456789012:role/starter")}
    house.push(assuming)
    house.service.sync(ROOT)
    with pytest.raises(Refused, match="does not hold the role starter"):
        house.service.automations.start(Subject("dave"), Start(document="as"))
    execution = start(house, "as", CAROL)
    house.tick(1)
    found = show(house, execution)
    assert (found["status"], found["assumeRole"]) == ("Failed", "Role/starter")
    assert "carol may not run Document" in found["reason"]
    assert status(house, start(house, "as")) == "Failed"


def test_what_is_brought_along_runs_no_programs_without_the_right_to_content(house: House) -> None:
    inputs = {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["web-1"], "Parameters": {"commands": ["id"]}}
    content = runbook(step("go", "runCommand", inputs))
    by = {"erin": "Failed", "frank": "InProgress"}
    for name, came_to in by.items():
        form = Start.model_validate({"content": content, "path": "mine.json"})
        started = house.service.automations.start(Subject(name), form)
        house.tick(1)
        found = show(house, started["execution"])
        assert (found["status"], "may not run Content" in found["reason"]) == (came_to, came_to == "Failed")


def test_a_bad_disk_loses_nothing(house: House) -> None:
    execution = start(house, "sleep")

    def broken(_: Changes) -> None:
        raise Unavailable("the store", "no space")

    house.disk.before = broken
    house.tick(11)
    assert [one["status"] for one in show(house, execution)["steps"]] == ["InProgress", "Pending"]
    house.disk.before = lambda _: None
    house.settle(5)
    assert [one["status"] for one in show(house, execution)["steps"]] == ["Success", "Waiting"]
