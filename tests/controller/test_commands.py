"""Commands through the controller: who may, what is durable, what nodes are told, what a restart and a bad disk do."""

from __future__ import annotations

from typing import Any

import pytest

from agent.contract.canonical import instant
from agent.contract.job import Accepted, Output, Revoked
from agent.contract.wire import StepReport
from reconciler.api.requests import Run
from reconciler.core.access import Subject
from reconciler.core.problem import Invalid, Refused, Unavailable
from tests.controller.house import BORN, ROOT, House, Machine, small
from tests.engine.repository import FLEET, operator, role

SCRIPT = """schemaVersion: "2.2"
mainSteps:
  - {name: a, action: "aws:runShellScript", inputs: {runCommand: ls}}
"""
ROLES = "---\n".join(
    (
        role("runner", "{verbs: [run], kinds: [Document], nodes: [web-1]}"),
        role("ender", "{verbs: [cancel, read], kinds: [Command], nodes: ['*']}"),
    )
)
OPERATORS = "---\n".join((operator("alice", "runner"), operator("bob", "ender")))
ALICE, BOB = Subject("alice"), Subject("bob")


@pytest.fixture
def house() -> House:
    house = House(small("web-1", "web-2", **{"documents/ls.yaml": SCRIPT}))
    house.join("web-1", "web-2")
    house.settle(3)
    return house


def run(house: House, *targets: str, by: Subject = ROOT, **asked: Any) -> dict[str, Any]:
    started = house.service.commands.run(by, Run.model_validate({"document": "ls", "targets": list(targets), **asked}))
    house.deliver()
    return started


def show(house: House, started: dict[str, Any]) -> dict[str, str]:
    found = house.service.commands.show(ROOT, started["command"])
    return {"": found["statusDetails"], **{one["node"]: one["statusDetails"] for one in found["invocations"]}}


def accept(house: House, machine: Machine) -> str:
    (job,) = machine.orders.jobs
    house.intake.accepted(machine.id, Accepted(str(job.envelope.job_id)))
    house.tick()
    return str(job.envelope.job_id)


def end(machine: Machine, job_id: str, status: str = "Success") -> None:
    steps = [StepReport("a", "aws:runShellScript", status)]
    machine.say(f"Job/{job_id}", status=status, cause="Job", claims=[], job_id=job_id, steps=steps, generation=1)


def test_from_dispatch_to_its_end(house: House) -> None:
    started = run(house, "*", maxConcurrency="1")
    assert show(house, started) == {"": "Pending", "web-1": "Pending", "web-2": "Pending"}
    first = accept(house, house["web-1"])
    assert show(house, started) == {"": "InProgress", "web-1": "InProgress", "web-2": "Pending"}
    assert house["web-2"].orders.jobs == ()
    end(house["web-1"], first)
    house.tick()
    end(house["web-2"], accept(house, house["web-2"]))
    assert show(house, started) == {"": "Success", "web-1": "Success", "web-2": "Success"}
    assert house.audit("run") == [("root@socket", "ls", "started")]
    assert house.audit("command") == [("root@socket", "ls", "Success")]
    assert [row["command"] for row in house.service.commands.list(ROOT, 10)] == [started["command"]]


def test_a_body_is_given_to_those_who_run_it(house: House) -> None:
    run(house, "web-1")
    (job,) = house["web-1"].orders.jobs
    assert house.intake.content(house["web-1"].id, job.body_digest)
    assert house.intake.content(house["web-2"].id, job.body_digest) is None
    house.controller._ports.store.collect()
    assert house.intake.content(house["web-1"].id, job.body_digest)


def test_a_restart_goes_on_where_it_was(house: House) -> None:
    started = run(house, "*")
    first = accept(house, house["web-1"])
    house.restart()
    house["web-1"].connect()
    house["web-2"].connect()
    house.tick()
    assert house["web-1"].orders.jobs == ()
    end(house["web-1"], first)
    end(house["web-2"], accept(house, house["web-2"]))
    assert show(house, started)[""] == "Success"


def test_what_the_disk_did_not_take_did_not_happen(house: House) -> None:
    def broken(_: object) -> None:
        raise Unavailable("the store", "it is full")

    house.disk.before = broken
    with pytest.raises(Unavailable):
        run(house, "web-1")
    del house.disk.before
    house.settle(40)
    assert house.service.commands.list(ROOT, 10) == []
    assert house["web-1"].orders.jobs == ()
    started = run(house, "web-1")
    first = accept(house, house["web-1"])
    house.disk.before = broken
    with pytest.raises(Unavailable):
        end(house["web-1"], first)
    del house.disk.before
    house.settle(40)
    assert show(house, started)["web-1"] == "Success"


def test_cancelled(house: House) -> None:
    started = run(house, "*")
    first = accept(house, house["web-1"])
    house.service.commands.cancel(ROOT, started["command"])
    house.deliver()
    assert [one.revoked_id for one in house["web-1"].orders.revocations] == [first]
    (second,) = (one.revoked_id for one in house["web-2"].orders.revocations)
    assert house["web-2"].orders.jobs == ()
    house.intake.revoked(house["web-2"].id, Revoked(second))
    end(house["web-1"], first, "Cancelled")
    assert set(show(house, started).values()) == {"Cancelled"}
    with pytest.raises(Refused, match="it is over"):
        house.service.commands.cancel(ROOT, started["command"])
    with pytest.raises(Refused, match="no command x is known"):
        house.service.commands.cancel(ROOT, "x")


def test_output_is_taken_from_whose_job_it_is(house: House) -> None:
    started = run(house, "web-1")
    job_id = accept(house, house["web-1"])
    output = Output(1, job_id, "a", "stdout")
    assert house.intake.output(house["web-1"].id, output, 0, b"hello") == (5, False)
    with pytest.raises(Refused):
        house.intake.output(house["web-2"].id, output, 5, b"more")
    read = house.service.commands.output(ROOT, started["command"], job_id, "a", "stdout", 1)
    assert read == {"data": "ZWxsbw==", "next": 5}
    with pytest.raises(Refused):
        house.service.commands.output(ROOT, started["command"], "other", "a", "stdout", 0)


def test_nobody_speaks_for_another_nodes_job(house: House) -> None:
    started = run(house, "web-1")
    job_id = accept(house, house["web-1"])
    end(house["web-2"], job_id)
    house.intake.revoked(house["web-2"].id, Revoked(job_id))
    assert show(house, started)["web-1"] == "InProgress"


def test_by_default_nobody_may() -> None:
    access = {"access/roles.yaml": ROLES, "access/operators.yaml": OPERATORS}
    house = House(small("web-1", "web-2", **{"documents/ls.yaml": SCRIPT}, **access))
    house.join("web-1", "web-2")
    house.settle(3)
    with pytest.raises(Refused, match="1 of 2 nodes are beyond your reach"):
        run(house, "*", by=ALICE)
    with pytest.raises(Refused, match="may not run Content"):
        house.service.commands.run(ALICE, Run(content=SCRIPT, path="x.yaml", targets=["web-1"]))
    with pytest.raises(Refused):
        run(house, "web-1", by=BOB)
    with pytest.raises(Refused):
        run(house, "web-1", by=Subject("mallory"))
    started = run(house, "web-1", by=ALICE)
    assert len(house.service.commands.show(ALICE, started["command"])["invocations"]) == 1
    with pytest.raises(Refused):
        house.service.commands.cancel(ALICE, started["command"])
    with pytest.raises(Refused):
        house.service.commands.show(Subject("mallory"), started["command"])
    house.service.commands.cancel(BOB, started["command"])
    refused = [row for row in house.audit("run") if row[2] == "refused"]
    assert {row[0] for row in refused} == {"alice", "bob", "mallory"}


def test_a_freeze_is_a_freeze(house: House) -> None:
    until = instant(BORN + 3_600_000)
    house.push({"fleet.yaml": FLEET + f"spec: {{freeze: {{reason: the fair, until: '{until}'}}}}\n"})
    house.settle(90)
    with pytest.raises(Refused, match="frozen until"):
        run(house, "web-1")
    assert run(house, "web-1", check=True)["check"]


@pytest.mark.parametrize(("asked", "problem"), [
    ({"document": "sl"}, Refused), ({"targets": ["tag:Env=no"]}, Refused), ({"targets": ["what=no"]}, Invalid),
    ({"parameters": {"no": ["x"]}}, Invalid), ({"content": "[]", "document": None, "path": "x.yaml"}, Invalid),
])  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_begins(
    house: House, asked: dict[str, Any], problem: type[Exception]
) -> None:
    with pytest.raises(problem):
        run(house, *asked.pop("targets", ["web-1"]), **asked)
    assert house.service.commands.list(ROOT, 10) == []
