"""Packages, services, users and scopes where they are real: a Debian node with systemd."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from agent.contract.codec import to_wire
from agent.contract.wire import BodyStep
from tests.agent.converging import body, step
from tests.agent.steps.real import SITE, STATE, converge, furnish
from tests.fleet.fixtures import NodeFactory
from tests.fleet.node import Node

pytestmark = pytest.mark.realnode


@pytest.fixture(scope="module")
def node(module_node_factory: NodeFactory) -> Node:
    (made,) = module_node_factory("steps", packages=["cron", "logrotate"])
    return furnish(made)


def script(name: str, *lines: str, **more: Any) -> BodyStep:
    return step("aws:runShellScript", {"runCommand": list(lines), **more}, name=name)


def test_a_package_its_service_and_what_becomes_of_them(node: Node) -> None:
    package = step("ops:package", {"name": ["cron", "logrotate"]}, name="package")
    service = step("ops:service", {"name": "cron", "state": "started", "enabled": True}, name="service")
    dry = converge(node, package, service, apply=False)
    assert dry.outcomes == {
        "package:cron": "Drifted",
        "package:logrotate": "Drifted",
        "unit:cron.service": "Drifted",
    }
    assert node.run(["dpkg", "-s", "cron"], check=False).returncode == 1

    first = converge(node, package, service)
    assert first.status == "Success", first.reasons
    assert first.outcomes["package:cron"] == "Changed"
    assert node.run(["systemctl", "is-active", "cron"]).stdout == "active\n"
    assert converge(node, package, service, cause="Interval").changed is False

    node.run(["systemctl", "disable", "--now", "cron"])
    healed = converge(node, package, service, cause="Interval")
    assert healed.changes["unit:cron.service"] == ("disabled, stopped", "enabled, started")
    assert node.run(["systemctl", "is-enabled", "cron"]).stdout == "enabled\n"

    pruned = converge(node, prune=True, generation=2)
    assert pruned.outcomes["package:cron"] == "Changed", pruned.reasons
    assert node.run(["systemctl", "is-active", "cron"], check=False).stdout != "active\n"


def test_a_package_that_does_not_exist(node: Node) -> None:
    result = converge(node, step("ops:package", {"name": ["no-such-package-anywhere"]}))
    assert result.outcomes == {"package:no-such-package-anywhere": "Failed"}
    assert result.reasons["package:no-such-package-anywhere"].startswith(
        "no package no-such-package-anywhere is offered by this node's package sources"
    )


def test_a_version_that_does_not_exist(node: Node) -> None:
    result = converge(node, step("ops:package", {"name": ["logrotate"], "version": "0.0.1"}))
    assert "Version '0.0.1' for 'logrotate' was not found" in result.reasons["package:logrotate"]


def test_a_held_dpkg_is_waited_for(node: Node) -> None:
    node.run(["sh", "-c", "apt-get -y remove logrotate"], timeout=120)
    lock = (
        "import fcntl, time; file = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "open('/run/locked', 'w'); time.sleep(3)"
    )
    node.run(["systemd-run", "--collect", "python3", "-c", lock])
    node.run(["sh", "-c", "until test -e /run/locked; do sleep 0.05; done"])
    result = converge(node, step("ops:package", {"name": ["logrotate"]}))
    assert result.outcomes == {"package:logrotate": "Changed"}, result.reasons


def test_a_unit_file_that_changed_is_read_again(node: Node) -> None:
    def unit(says: str) -> list[BodyStep]:
        command = f"/bin/sh -c 'echo {says} > /run/says; exec sleep infinity'"
        text = f"[Service]\nExecStart={command}\n[Install]\nWantedBy=multi-user.target\n"
        return [
            step("ops:file", {"path": "/etc/systemd/system/says.service", "content": text}, name="unit"),
            step("ops:service", {"name": "says", "state": "started", "enabled": True}, name="service"),
        ]

    assert converge(node, *unit("one")).status == "Success"
    node.run(["sh", "-c", "until grep -q one /run/says; do sleep 0.05; done"])
    node.run(["systemctl", "stop", "says"])
    assert converge(node, *unit("two"), generation=2).outcomes["unit:says.service"] == "Changed"
    node.run(["sh", "-c", "until grep -q two /run/says; do sleep 0.05; done"])


def test_a_service_that_fails_to_start(node: Node) -> None:
    text = "[Service]\nType=oneshot\nExecStart=/bin/false\n"
    node.write("/etc/systemd/system/bad.service", text)
    result = converge(node, step("ops:service", {"name": "bad", "state": "started"}))
    assert result.outcomes == {"unit:bad.service": "Failed"}
    assert "systemctl start: Job for bad.service failed" in result.reasons["unit:bad.service"]
    static = converge(node, step("ops:service", {"name": "bad", "enabled": True}))
    assert static.reasons["unit:bad.service"].startswith("it is static")


def test_a_user_from_nothing_and_back(node: Node) -> None:
    wanted = {"name": "alice", "uid": 2000, "shell": "/bin/bash", "groups": ["sudo"], "comment": "Alice A"}
    made = converge(node, step("ops:user", wanted), uid="Association/users")
    assert made.status == "Success", made.reasons
    assert node.run(["id", "alice"]).stdout == "uid=2000(alice) gid=2000(alice) groups=2000(alice),27(sudo)\n"
    assert node.run(["stat", "-c", "%U", "/home/alice"]).stdout == "alice\n"
    assert not converge(node, step("ops:user", wanted), uid="Association/users", cause="Interval").changed

    node.run(["usermod", "--shell", "/bin/sh", "--groups", "adm", "alice"])
    healed = converge(node, step("ops:user", wanted), uid="Association/users", cause="Interval")
    assert healed.changes["user:alice"][1] == "shell /bin/bash, groups +sudo"
    assert node.run(["id", "-nG", "alice"]).stdout == "alice adm sudo\n"

    owned = step("ops:file", {"path": "/home/alice/a", "content": "a\n", "owner": "alice", "group": "sudo"}, name="a")
    assert converge(node, owned, uid="Association/files").status == "Success"
    assert node.run(["stat", "-c", "%U %G", "/home/alice/a"]).stdout == "alice sudo\n"

    removed = converge(
        node, step("ops:user", {"name": "alice", "state": "absent"}), uid="Association/users", generation=2
    )
    assert removed.status == "Success", removed.reasons
    assert node.run(["id", "alice"], check=False).returncode == 1
    assert node.run(["test", "-d", "/home/alice"]).returncode == 0


def test_root_does_not_follow_a_users_link(node: Node) -> None:
    node.run(["useradd", "--create-home", "mallory"])
    node.run(["runuser", "-u", "mallory", "--", "ln", "-s", "/etc", "/home/mallory/.ssh"])
    result = converge(node, step("ops:file", {"path": "/home/mallory/.ssh/passwd", "content": "x"}))
    assert result.outcomes == {"path:/home/mallory/.ssh/passwd": "Unknown"}
    assert ".ssh in it is a symbolic link made by user id" in result.reasons["path:/home/mallory/.ssh/passwd"]
    assert b"root:" in node.read("/etc/passwd")


def test_a_script_runs_in_a_scope_of_its_own(node: Node) -> None:
    ran = converge(node, script("say", "cat /proc/self/cgroup", "exit 0"), uid="Association/scope")
    assert ran.status == "Success", ran.reasons
    assert re.search(r"/opsctl-scope-\S*\.scope$", ran.output, re.MULTILINE), ran.output
    units = node.run(["systemctl", "list-units", "--all", "--no-legend", "opsctl-*"]).stdout
    assert units == ""
    assert node.run(["sh", "-c", "ls -d /var/lib/opsctl/opsctl-script-*"], check=False).returncode != 0


def test_a_function_is_called_within_the_bounds_of_a_scope(node: Node) -> None:
    lines = [
        "import os, json",
        "def handler(events, context):",
        "    open('mine', 'w').close()",
        "    mounts = [line.split()[1] for line in open('/proc/mounts') if line.startswith('tmpfs /tmp ')]",
        "    cgroup = open('/proc/self/cgroup').read().strip()",
        "    return {'user': os.getuid(), 'cgroup': cgroup, 'mounts': mounts, 'files': sorted(os.listdir('.'))}",
    ]
    inputs = {"runtime": "python3.11", "handler": "handler", "script": "\n".join(lines)}
    ran = converge(node, step("aws:executeScript", inputs, name="call"), uid="Association/call")
    assert ran.status == "Success", ran.reasons
    found = json.loads(ran.output)
    assert 61184 <= found["user"] <= 65519
    assert re.search(r"/opsctl-call-\S*\.scope$", found["cgroup"])
    assert found["files"] == ["mine", "script.py"]
    assert "/tmp" in found["mounts"]
    assert node.run(["ls", "/tmp/mine"], check=False).returncode != 0


def test_the_exit_code_comes_through_the_scope(node: Node) -> None:
    ran = converge(node, script("bad", "echo oops >&2", "exit 1"), uid="Association/code")
    assert (ran.status, ran.reasons) == ("Failed", {"script:bad": "exit 1: oops"})


def test_a_script_out_of_time_leaves_nothing_running(node: Node) -> None:
    text = ["setsid sleep 4711 &", "sleep 4712"]
    ran = converge(node, script("slow", *text, timeoutSeconds=1), uid="Association/slow")
    assert ran.status == "TimedOut"
    assert node.run(["pgrep", "-f", "sleep 471[12]"], check=False).stdout == ""


def test_a_script_that_went_away_in_the_middle_is_not_run_again(node: Node) -> None:
    slow = script("slow", "echo ran >> /run/ran", "echo $$ > /run/begun", "exec sleep 4713")
    held = to_wire(body(slow, uid="Association/cut"))
    node.write("/run/order", json.dumps({"body": held}))
    command = f"PYTHONPATH={SITE} python3 {SITE}/on_node.py {STATE} < /run/order"
    node.run(["systemd-run", "--unit=agent", "--property=KillMode=process", "sh", "-c", command])
    node.run(["sh", "-c", "until test -s /run/begun; do sleep 0.05; done"])
    node.run(["systemctl", "kill", "--signal=SIGKILL", "agent"])
    node.run(["sh", "-c", "test -d /proc/$(cat /run/begun)"])  # it outlives the agent, in its own scope
    node.run(["sh", "-c", "pkill -KILL -f [s]upervisor.py; kill -KILL $(cat /run/begun)"])  # and dies with its company
    again = converge(node, slow, uid="Association/cut", cause="Boot")
    assert again.status == "Failed"
    assert again.reasons["script:slow"].startswith("Interrupted: ")
    assert node.read("/run/ran") == b"ran\n"


def test_a_service_where_systemd_does_not_run(node: Node) -> None:
    node.run(
        [
            "sh",
            "-c",
            "apt-get update && apt-get -y install cron && systemctl disable --now cron && rm -f /run/crond.pid",
        ],
        timeout=120,
    )
    service = step("ops:service", {"name": "cron", "state": "started", "enabled": True})
    absent = step("ops:service", {"name": "cron", "state": "stopped", "enabled": False})
    without_systemd = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run/systemd && exec "$@"', "-"]
    made = converge(node, service, uid="Association/init", through=without_systemd)
    assert made.changes["unit:cron.service"] == ("disabled, stopped", "enabled, started"), made.reasons
    assert node.run(["sh", "-c", "ls /etc/rc2.d/S??cron && pgrep -x cron"]).returncode == 0
    assert not converge(node, service, uid="Association/init", through=without_systemd, cause="Interval").changed
    gone = converge(node, absent, uid="Association/init", generation=2, through=without_systemd)
    assert gone.changes["unit:cron.service"] == ("enabled, started", "disabled, stopped"), gone.reasons
    assert node.run(["pgrep", "-x", "cron"], check=False).returncode == 1
