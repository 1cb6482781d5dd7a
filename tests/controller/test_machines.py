"""Verbs on machines through the controller: what nodes are told, what is waited for, and what is not allowed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.controller.automation.machines import REBOOT
from reconciler.core.access import Subject
from tests.controller.house import ROOT, House, small
from tests.controller.test_automations import end_job, runbook, step
from tests.controller.test_scripts import asked, shown, started
from tests.engine.repository import FLEET, operator, role

ALLOWED = FLEET + "spec: {automation: {powerOff: true, retire: true}}\n"
ACCESS = {
    "access/roles.yaml": role("starter", "{verbs: [start, read], kinds: ['*'], nodes: [web-1]}"),
    "access/operators.yaml": operator("carol", "starter"),
}


def state(wanted: str, *names: str, **more: Any) -> str:
    inputs = {"InstanceIds": list(names) or ["web-1"], "DesiredState": wanted, **more.pop("inputs", {})}
    return runbook(step("change", "changeInstanceState", inputs, timeoutSeconds=more.pop("seconds", 60), **more))


def ec2(api: str, *names: str) -> str:
    inputs = {"Service": "ec2", "Api": api, "InstanceIds": list(names) or ["web-1"]}
    return runbook(step("call", "executeAwsApi", inputs))


DOCUMENTS = {
    "documents/running.json": state("running", "web-1", "web-2"),
    "documents/stopped.json": state("stopped", seconds=600),
    "documents/looked.json": state("stopped", inputs={"CheckStateOnly": True}),
    "documents/terminated.json": state("terminated"),
    "documents/foreign.json": state("running", "i-0123456789abcdef0"),
    "documents/reboot.json": ec2("RebootInstances"),
    "documents/status.json": ec2("describe_instance_status", "web-1", "web-2"),
    "documents/instances.json": ec2("DescribeInstances"),
    "documents/others.json": ec2("RebootInstances", "web-1", "i-0123456789abcdef0"),
}  # fmt: skip


def housed(fleet: str = ALLOWED) -> House:
    house = House(small("web-1", "web-2", fleet=fleet, **DOCUMENTS, **ACCESS))
    house.join("web-1", "web-2")
    house.settle(3)
    return house


def only(house: House, execution: str) -> dict[str, Any]:
    (found,) = shown(house, execution)["steps"]
    return dict(found)


def test_running_is_online_and_waited_for() -> None:
    house = housed()
    assert only(house, started(house, "running"))["outputs"] == {"InstanceStates": ["running", "running"]}
    house["web-2"].disconnect()
    execution = started(house, "running")
    house.tick(3)
    assert only(house, execution)["status"] == "InProgress"
    house["web-2"].connect()
    house.tick(3)
    house.tick(1)
    assert only(house, execution)["status"] == "Success"


def test_nothing_here_switches_a_machine_on() -> None:
    house = housed()
    house["web-2"].disconnect()
    execution = started(house, "running")
    house.tick(61)
    found = only(house, execution)
    reason = "waiting: web-2 to be online: nothing here switches a machine on"
    assert (found["status"], found["reason"]) == ("TimedOut", reason)


def test_a_machine_is_told_once_to_switch_itself_off() -> None:
    house = housed()
    execution = started(house, "stopped")
    (given,) = asked(house, "web-1")["steps"]
    assert any("systemctl poweroff" in line for line in given["inputs"]["runCommand"])
    house.tick(3)
    end_job(house)
    house.restart()
    house.tick(3)
    house["web-1"].connect()
    house.tick(3)
    house["web-1"].disconnect()
    house.tick(20)
    assert only(house, execution)["status"] == "InProgress"
    for _ in range(8):
        house.tick(3)
    assert only(house, execution)["outputs"] == {"InstanceStates": ["stopped"]}
    assert len(house.service.commands.list(ROOT, 10)) == 1


def test_one_that_cannot_switch_itself_off() -> None:
    house = housed()
    execution = started(house, "stopped")
    end_job(house, status="Failed", rc=1)
    house.tick(3)
    assert only(house, execution)["reason"].endswith("to switch off ended as Failed (rule: powerOff)")


def test_only_looking_tells_nobody_anything() -> None:
    house = housed()
    execution = started(house, "looked")
    house.tick(61)
    assert only(house, execution)["reason"] == "waiting: web-1 to be off"
    assert house.service.commands.list(ROOT, 10) == []


@pytest.mark.parametrize(("document", "reason"), [
    ("stopped", "no automation may switch machines off: nothing here switches them on (rule: powerOff); set "
     "spec.automation.powerOff in fleet.yaml"),
    ("terminated", "no automation may retire nodes (rule: retire); set spec.automation.retire in fleet.yaml"),
])  # fmt: skip
def test_what_the_fleet_does_not_allow(document: str, reason: str) -> None:
    house = housed(FLEET)
    assert only(house, started(house, document))["reason"] == f"refused: {reason}"


def test_terminated_is_retired() -> None:
    house = housed()
    assert only(house, started(house, "terminated"))["outputs"] == {"InstanceStates": ["terminated"]}
    assert [row["name"] for row in house.service.nodes(ROOT) if row["id"]] == ["web-2"]


def test_what_is_no_node() -> None:
    house = housed()
    reason = only(house, started(house, "foreign"))["reason"]
    assert reason == "refused: Unsupported: i-0123456789abcdef0 is no node of this fleet: needs aws (rule: nodes)"


@pytest.mark.parametrize(("name", "reason"), [
    ("web-1", "refused: labels come from Git (rule: labels); change metadata.labels in nodes/web-1.yaml"),
    ("i-0123456789abcdef0",
     "refused: Unsupported: i-0123456789abcdef0 is nothing of this fleet: needs aws (rule: nodes)"),
])  # fmt: skip
def test_labels_come_from_git(name: str, reason: str) -> None:
    tags = {"ResourceIds": [name], "Tags": [{"Key": "Env", "Value": "prod"}]}
    house = housed()
    house.push({"documents/tags.json": runbook(step("tag", "createTags", tags))})
    house.tick(60)
    assert only(house, started(house, "tags"))["reason"] == reason


@pytest.mark.parametrize(("boots", "codes"), [(["a", "a"], [194, 194]), (["a", "b"], [194, 0])])
def test_the_script_of_a_reboot_asks_for_one(boots: list[str], codes: list[int], tmp_path: Path) -> None:
    """In a directory of its own: asked for until the boot is another one, and nothing is left behind."""
    boot = tmp_path / "boot_id"
    text = "\n".join(REBOOT).replace("/var/lib", str(tmp_path)).replace("/proc/sys/kernel/random/boot_id", str(boot))
    for name, code in zip(boots, codes, strict=True):
        boot.write_text(name)
        assert subprocess.run(["sh", "-c", text], env={"AWS_SSM_COMMAND_ID": "x"}, check=False).returncode == code
    assert (tmp_path / "opsctl-reboot-x").exists() == (codes[-1] == 194)


def test_a_reboot_is_ordered() -> None:
    house = housed()
    execution = started(house, "reboot")
    assert only(house, execution)["status"] == "Success"
    (given,) = asked(house, "web-1")["steps"]
    assert any("exit 194" in line for line in given["inputs"]["runCommand"])


def test_what_ec2_says_of_nodes() -> None:
    house = housed()
    assert only(house, started(house, "status"))["status"] == "Success"
    assert only(house, started(house, "instances"))["status"] == "Success"


def test_what_is_about_others_too_is_aws() -> None:
    house = housed()
    assert "needs the aws extra" in only(house, started(house, "others"))["reason"]
    assert house.service.commands.list(ROOT, 10) == []


@pytest.mark.parametrize(("document", "reason"), [
    ("reboot", "carol may not run Document"),
    ("running", "1 of 2 nodes are beyond your reach"),
    ("terminated", "carol may not retire Node"),
])  # fmt: skip
def test_the_rights_of_who_started_it_count(document: str, reason: str) -> None:
    house = housed()
    assert reason in only(house, started(house, document, Subject("carol")))["reason"]
