"""The installed agent on real nodes: systemd runs it, and what fails there fails for real."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.contract import wire
from tests.agent import program
from tests.agent.gateway import Gateway
from tests.agent.program import until
from tests.agent.rig import body, script
from tests.fleet import DEFAULT_SUITE, SUITES, Node
from tests.fleet.fixtures import NodeFactory

pytestmark = [pytest.mark.realnode, pytest.mark.fault]
UNIT = "opsctl-agent.service"


@pytest.fixture
def suite() -> str:
    """The release of the node: one for all but the first test, and `make faults` takes each for all of them."""
    return DEFAULT_SUITE


@pytest.fixture
def node(suite: str, node_factory: NodeFactory) -> Node:
    (made,) = node_factory("web-1", suite=suite)
    return made


@pytest.fixture
def gateway(tmp_path: Path, node: Node) -> Iterator[Gateway]:
    with Gateway(tmp_path, address=node.host_address) as running:
        yield running


@pytest.fixture
def installed(gateway: Gateway, node: Node) -> Node:
    node.put(program.archive(), "/root/agent.pyz")
    node.run(["python3", "/root/agent.pyz", "enroll", "--token-file", "-"], stdin=gateway.token())
    said = node.run(["python3", "/root/agent.pyz", "install"]).stdout
    assert "wrote /etc/systemd/system/opsctl-agent.service" in said
    gateway.wait(lambda: len(gateway.hellos) == 1, "the agent's hello")
    return node


def hello(gateway: Gateway, count: int) -> wire.Hello:
    gateway.wait(lambda: len(gateway.hellos) >= count, f"hello {count}")
    return gateway.hellos[count - 1]


@pytest.mark.parametrize("suite", SUITES)
def test_it_is_a_service_that_comes_back(gateway: Gateway, installed: Node) -> None:
    node = installed
    assert node.run(["systemctl", "is-active", UNIT]).stdout == "active\n"
    assert node.run(["python3", "/root/agent.pyz", "install"]).stdout == "version 0.1.0 is installed already\n"
    gateway.want(1, [body()], interval=1)
    gateway.wait(lambda: len(gateway.reports) == 1)
    assert node.read("/etc/motd") == b"hello\n"

    node.run(["systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT])
    hello(gateway, 2)
    node.run(["systemctl", "stop", UNIT])
    assert gateway.closes[-1] == (1001, "the agent stops")
    node.write("/etc/motd", "by hand\n")
    node.reboot()
    third = hello(gateway, 3)
    assert third.boot_id == node.boot_id() != gateway.hellos[0].boot_id
    gateway.wait(lambda: len(gateway.reports) == 2, "the healing at boot")
    assert gateway.reports[1].cause == "Boot"
    assert node.read("/etc/motd") == b"hello\n"


def test_a_job_outlives_the_agent_and_is_picked_up(gateway: Gateway, installed: Node) -> None:
    node = installed
    slow = script("echo begun >> /root/runs; while [ ! -e /root/go ]; do sleep 0.1; done; echo ended; exit 3")
    gateway.want(1, [slow, body()], interval=1)
    until(lambda: node.run(["cat", "/root/runs"], check=False).stdout == "begun\n", "the job's start")
    assert "opsctl-script-1-run-" in node.run(["systemctl", "list-units", "--type=scope"]).stdout
    node.run(["systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT])
    hello(gateway, 2)
    node.run(["systemctl", "restart", UNIT], timeout=30)  # it is not waited for
    hello(gateway, 3)
    node.write("/root/go", "")
    gateway.wait(lambda: any(item.uid == slow.uid for item in gateway.reports), "its report")
    (told,) = [item for item in gateway.reports if item.uid == slow.uid]
    assert (told.status, told.output, told.claims[0].reason) == ("Failed", "ended\n", "exit 3: ended")
    node.run(["systemctl", "restart", UNIT])
    hello(gateway, 4)
    gateway.wait(lambda: len(gateway.pulses) > 2)
    assert node.read("/root/runs") == b"begun\n"


def test_exit_194_reboots_and_goes_on(gateway: Gateway, installed: Node) -> None:
    node = installed
    steps = [
        ["echo before >> /root/runs"],
        ["echo patch >> /root/runs", "[ -e /root/rebooted ] && exit 0", "touch /root/rebooted", "exit 194"],
        ["echo after >> /root/runs"],
    ]
    made = script("", schedule=None)
    named = [
        wire.BodyStep(f"step{number}", "aws:runShellScript", 1, {"runCommand": lines})
        for number, lines in enumerate(steps)
    ]
    with node.expect_reboot():
        gateway.want(1, [dataclasses.replace(made, steps=named)], interval=1)
    hello(gateway, 2)
    gateway.wait(lambda: len(gateway.reports) > 0, "its report")
    told = gateway.reports[0]
    assert told.status == "Success"
    assert told.boot_id == node.boot_id() != gateway.hellos[0].boot_id
    assert [claim.outcome for claim in told.claims] == ["Unchanged", "Changed", "Changed"]
    assert node.read("/root/runs") == b"before\npatch\npatch\nafter\n"


def test_a_power_cut_in_the_middle_of_a_job(gateway: Gateway, installed: Node) -> None:
    node = installed
    gateway.want(1, [script("echo begun >> /root/runs; sync; sleep 600"), body()], interval=1)
    until(lambda: node.run(["cat", "/root/runs"], check=False).stdout == "begun\n", "the job's start")
    node.power_off()
    node.start().wait_booted()
    hello(gateway, 2)
    gateway.wait(lambda: any("Interrupted" in (item.reason or "") for item in gateway.reports), "the interruption")
    gateway.wait(lambda: any(item.uid == body().uid for item in gateway.reports))
    assert node.read("/root/runs") == b"begun\n"


def test_it_heals_behind_a_cut_cable_and_tells_of_it_later(gateway: Gateway, installed: Node) -> None:
    node = installed
    gateway.want(1, [body()], interval=1)
    gateway.wait(lambda: len(gateway.reports) == 1)
    node.link_down()
    node.write("/etc/motd", "by hand\n")
    until(lambda: node.read("/etc/motd") == b"hello\n", "healing alone")
    node.link_up()
    gateway.wait(lambda: len(gateway.reports) == 2, "the report of it")
    assert gateway.reports[1].seq == 2


def test_a_script_that_will_not_end_is_ended_with_its_scope(gateway: Gateway, installed: Node) -> None:
    node = installed
    lines = [
        "systemctl show --property=Id,MemoryMax $(basename $(grep -o '[^/]*scope' /proc/self/cgroup | tail -n 1))",
        "echo $(env | cut -d= -f1 | sort)",
        "echo nice $(nice)",
        "trap '' TERM; (setsid sh -c \"trap '' TERM; exec setsid sleep 987\" &) ; sleep 987",
    ]
    step = wire.BodyStep("run", "aws:runShellScript", 1, {"runCommand": lines, "timeoutSeconds": 2})
    gateway.want(1, [wire.Body("Association/away", "away", [step]), body()], interval=1)
    gateway.wait(lambda: any(item.uid == "Association/away" for item in gateway.reports), "its report")
    (told,) = [item for item in gateway.reports if item.uid == "Association/away"]
    assert (told.status, told.claims[0].reason) == ("TimedOut", "it was ended after 2 seconds")
    said = dict(line.replace("=", " ", 1).partition(" ")[::2] for line in (told.output or "").splitlines())
    assert said["Id"].startswith("opsctl-away-1-run-")
    assert said["MemoryMax"].isdigit()
    assert said["nice"] == "10"
    names = next(line for line in (told.output or "").splitlines() if "LANG" in line).split()
    assert set(names) - {"PWD", "SHLVL", "OLDPWD", "_"} == {
        *("AWS_SSM_INSTANCE_ID", "AWS_SSM_PLATFORM_NAME", "AWS_SSM_PLATFORM_TYPE", "AWS_SSM_PLATFORM_VERSION"),
        *("HOME", "LANG", "PATH"),
    }
    assert node.run(["pgrep", "-f", "sleep 987"], check=False).stdout == ""
    assert "opsctl-away" not in node.run(["systemctl", "list-units", "--type=scope"]).stdout
