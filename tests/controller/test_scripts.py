"""Scripts of runbooks through the controller: which node runs one, what it is given, what waits for a runner."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from agent.contract.job import Accepted
from agent.contract.wire import StepReport
from reconciler.api.requests import Start
from reconciler.core.access import Subject
from tests.controller.house import ROOT, House, small
from tests.controller.test_automations import runbook, step
from tests.engine.repository import node, operator, role

ACTION = "aws:executeScript"
SCRIPT = "def handler(events, context): return {'word': events['word']}"
CALL = {"Runtime": "python3.11", "Handler": "handler", "Script": SCRIPT, "InputPayload": {"word": "hi", "half": 0.5}}
OUTPUT = [{"Name": "word", "Selector": "$.Payload.word", "Type": "String"}]
ATTACHED = b"def handler(events, context): return 1\n"
DIGEST = hashlib.sha256(ATTACHED).hexdigest()
WITH = step("call", "executeScript", {"Runtime": "python3.11", "Handler": "tool.handler", "Attachment": "tool.py"})
DOCUMENTS = {
    "documents/call.json": runbook(step("call", "executeScript", CALL, outputs=OUTPUT), outputs=["call.word"]),
    "documents/brief.json": runbook(step("call", "executeScript", CALL, timeoutSeconds=30)),
    "documents/with.json": runbook(WITH, files={"tool.py": {"checksums": {"sha256": DIGEST}}}),
    "documents/other.json": runbook(WITH, files={"tool.py": {"checksums": {"sha256": "0" * 64}}}),
    "documents/without.json": runbook(WITH),
    "attachments/with/tool.py": ATTACHED.decode(),
    "attachments/other/tool.py": ATTACHED.decode(),
}
ACCESS = {
    "access/roles.yaml": role("here", "{verbs: [start], kinds: [Automation], nodes: [web-1]}"),
    "access/operators.yaml": operator("alice", "here"),
}


def housed(*runners: str) -> House:
    labelled = {f"nodes/{name}.yaml": node(name, '{opsctl/runner: "true"}') for name in runners}
    house = House(small("web-1", "web-2", "web-3", **DOCUMENTS, **ACCESS) | labelled)
    house.join("web-1", "web-2", "web-3")
    house.settle(3)
    return house


def started(house: House, document: str, by: Subject = ROOT) -> str:
    execution = house.service.automations.start(by, Start.model_validate({"document": document}))["execution"]
    house.deliver()
    return str(execution)


def shown(house: House, execution: str) -> dict[str, Any]:
    return house.service.automations.show(ROOT, execution)


def asked(house: House, name: str) -> dict[str, Any]:
    """The body of the one job that a node was given."""
    (job,) = house[name].orders.jobs
    data = house.disk.body(job.body_digest)
    assert data is not None
    body: dict[str, Any] = json.loads(data)
    return body


def end(house: House, name: str, status: str = "Success", **said: Any) -> None:
    machine = house[name]
    (job,) = machine.orders.jobs
    job_id = str(job.envelope.job_id)
    house.intake.accepted(machine.id, Accepted(job_id))
    steps = [StepReport("call", ACTION, status, **said)]
    machine.say(f"Job/{job_id}", cause="Job", claims=[], job_id=job_id, steps=steps, generation=1, status=status)
    house.tick()


def test_a_runner_is_asked_and_what_it_returns_is_the_output() -> None:
    house = housed("web-2")
    execution = started(house, "call")
    (given,) = asked(house, "web-2")["steps"]
    assert (given["name"], given["action"]) == ("call", ACTION)
    assert json.loads(given["inputs"].pop("inputPayload")) == {"word": "hi", "half": 0.5}
    assert given["inputs"] == {
        "runtime": "python3.11", "handler": "handler", "script": SCRIPT, "executionId": execution
    }  # fmt: skip
    end(house, "web-2", payload='{"word": "hi", "half": 0.5}')
    found = shown(house, execution)
    assert (found["status"], found["outputs"]) == ("Success", {"call.word": "hi"})
    assert found["steps"][0]["outputs"]["Payload"] == {"word": "hi", "half": 0.5}


def test_a_script_that_fails_says_why() -> None:
    house = housed("web-2")
    execution = started(house, "call")
    end(house, "web-2", "Failed", rc=1, reason="Traceback: ZeroDivisionError")
    assert shown(house, execution)["steps"][0]["reason"] == "on web-2: Traceback: ZeroDivisionError"


def test_runners_take_turns() -> None:
    house = housed("web-1", "web-2", "web-3")
    house["web-2"].disconnect()
    for _ in range(4):
        started(house, "call")
    jobs = {name: len(house[name].orders.jobs) for name in ("web-1", "web-2", "web-3")}
    assert jobs == {"web-1": 2, "web-2": 0, "web-3": 2}


@pytest.mark.parametrize(("runners", "by", "reason"), [
    ((), ROOT, 'waiting: a runner: no enrolled node has the label `opsctl/runner: "true"`; give it to one in its file '
     "in nodes/"),
    (("web-2",), Subject("alice"), "waiting: a runner within the reach of alice: a Role has to let it `start` on one"),
    (("web-3",), ROOT, "waiting: a runner that is online: web-3 is not"),
])  # fmt: skip
def test_without_a_runner_it_waits_until_it_is_out_of_time(runners: tuple[str, ...], by: Subject, reason: str) -> None:
    house = housed(*runners)
    house["web-3"].disconnect()
    execution = started(house, "brief", by)
    house.tick(20)
    assert shown(house, execution)["status"] == "InProgress"
    assert f"waiting: {shown(house, execution)['waitsFor']}" == reason
    house.tick(20)
    assert shown(house, execution)["waitsFor"] == ""
    (found,) = shown(house, execution)["steps"]
    assert (found["status"], found["reason"]) == ("TimedOut", reason)


def test_a_runner_that_comes_is_asked_also_after_a_restart() -> None:
    house = housed("web-3")
    house["web-3"].disconnect()
    execution = started(house, "call")
    house.restart()
    house.settle(2)
    house["web-3"].connect()
    house.tick(3)
    house.tick(3)
    end(house, "web-3", payload="null")
    assert shown(house, execution)["steps"][0]["status"] == "Success"


def test_what_nobody_waits_for_any_longer_is_not_asked_for_again() -> None:
    house = housed("web-3")
    house["web-3"].disconnect()
    execution = started(house, "call")
    house.service.automations.stop(ROOT, execution, "")
    house["web-3"].connect()
    house.tick(5)
    assert shown(house, execution)["status"] == "Cancelled"
    assert house[("web-3")].orders.jobs == ()


def test_an_attachment_goes_along() -> None:
    house = housed("web-1")
    started(house, "with")
    body = asked(house, "web-1")
    assert body["steps"][0]["inputs"]["attachment"] == "attachments/with/tool.py"
    assert body["files"] == {"attachments/with/tool.py": {"digest": f"sha256:{DIGEST}", "size": len(ATTACHED)}}
    assert house.disk.body(f"sha256:{DIGEST}") == ATTACHED


@pytest.mark.parametrize(("document", "reason"), [
    ("without",
     "there is no attachment tool.py (rule: document); put it at attachments/without/tool.py in the repository"),
    ("other", "attachments/other/tool.py is not the file that other was written with (rule: checksums.sha256)"),
])  # fmt: skip
def test_an_attachment_that_is_not_there_or_another(document: str, reason: str) -> None:
    house = housed("web-1")
    execution = started(house, document)
    house.tick()
    assert shown(house, execution)["steps"][0]["reason"] == f"refused: {reason}"
