"""An agent as it is installed on a real node, with the test's server: what the tests of faults there share."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from typing import Any

from agent.contract import wire
from agent.contract.canonical import digest
from tests.agent import program
from tests.agent.gateway import Gateway
from tests.fleet import Node

UNIT = "opsctl-agent.service"
STATE = "/var/lib/opsctl"
PATIENCE = 30.0
_DROP_IN = f"/etc/systemd/system/{UNIT}.d"
_HURRY = "[Service]\nRestartSec=100ms\nEnvironment=OPSCTL_RECONNECT_MAX=0.2\n"


class Installed:
    """A node on which systemd runs the agent. Each `want` is a generation of its own; `told` waits for its reports."""

    def __init__(self, node: Node, gateway: Gateway) -> None:
        self.node, self.gateway = node, gateway
        self.generation = 0
        node.put(program.archive(), "/root/agent.pyz")
        self.agent("enroll", "--token-file", "-", stdin=gateway.token())
        node.write(f"{_DROP_IN}/hurry.conf", _HURRY)
        self.agent("install")
        gateway.wait(lambda: len(gateway.hellos) == 1, "the agent's hello")

    def agent(self, *arguments: str, stdin: str = "") -> str:
        return self.node.run(["python3", "/root/agent.pyz", *arguments], stdin=stdin).stdout

    def shell(self, script: str, timeout: float = 60) -> str:
        return self.node.run(["sh", "-c", script], timeout=timeout).stdout

    def kill(self) -> None:
        """The agent's process, by a signal that it cannot hear; systemd starts it again."""
        kill = ["systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT]
        self.wait(lambda: self.node.run(kill, check=False).returncode == 0, "a process to kill")

    def restart(self) -> None:
        """With what `configure` has changed; until it is connected again."""
        known = len(self.gateway.hellos)
        self.shell(f"systemctl daemon-reload && systemctl restart {UNIT}")
        self.wait(lambda: len(self.gateway.hellos) > known, "its hello")

    def configure(self, **environment: str) -> None:
        """Environment variables of the service from the next start on, and no others than these."""
        lines = "".join(f"Environment={name}={value}\n" for name, value in environment.items())
        self.node.write(f"{_DROP_IN}/test.conf", f"[Service]\n{lines}")

    def is_running(self) -> bool:
        return self.node.run(["systemctl", "is-active", UNIT], check=False).stdout == "active\n"

    def restarts(self) -> int:
        """How often systemd has had to start it again."""
        return int(self.shell(f"systemctl show --property=NRestarts --value {UNIT}"))

    def want(self, *bodies: wire.Body, **changes: Any) -> int:
        """What the node should hold from now on: these and no others; the generation."""
        self.generation += 1
        changes = {"interval": 1, **changes}
        self.gateway.want(self.generation, list(bodies), generation=self.generation, **changes)
        return self.generation

    def told(self, uid: str, timeout: float = PATIENCE) -> wire.Report:
        """The newest report on an association at the present generation."""
        found: list[wire.Report] = []

        def look() -> bool:
            found[:] = [item for item in self.reports() if (item.uid, item.generation) == (uid, self.generation)]
            return bool(found)

        self.wait(look, f"the report on {uid}", timeout)
        return found[-1]

    def converged(self, *bodies: wire.Body, timeout: float = PATIENCE) -> list[wire.Report]:
        """Want these, and wait until each is told of; the reports."""
        self.want(*bodies)
        return [self.told(body.uid, timeout) for body in bodies]

    def reports(self) -> list[wire.Report]:
        """What has arrived, each number once and in order; what came twice says the same twice."""
        by_number: dict[int, wire.Report] = {}
        for report in list(self.gateway.reports):
            assert by_number.setdefault(report.seq, report) == report
        return [by_number[seq] for seq in sorted(by_number)]

    def nothing_is_missing(self) -> None:
        """Until the agent keeps no report back; all numbers up to the newest have come."""
        self.wait(lambda: self.status()["pendingReports"] == 0, "all reports to be acknowledged")
        assert [report.seq for report in self.reports()] == list(range(1, len(self.reports()) + 1))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.agent("status", "--format", "json"))
        return found

    def wait(self, condition: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
        """Until `condition` holds; the test fails with the agent's last words after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            for failure in self.gateway.failures:
                raise failure
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come about\n{self.node.journal('--unit', UNIT)[-3000:]}")
            time.sleep(0.02)

    def reads(self, path: str, wanted: bytes) -> Callable[[], bool]:
        """Whether a file on the node is what it should be."""
        return lambda: self.node.run(["cat", path], check=False).stdout.encode() == wanted


def of(name: str, action: str, inputs: dict[str, Any], files: dict[str, bytes] | None = None) -> wire.Body:
    """A body of one step."""
    refs = {path: wire.FileRef(digest(data), len(data)) for path, data in (files or {}).items()}
    step = wire.BodyStep("it", action, 1, inputs)
    return dataclasses.replace(wire.Body(f"Association/{name}", name, [step]), files=refs)
