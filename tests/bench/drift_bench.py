"""Drift on an idle node: from a hand's edit to the server's report of it, and to its being put right."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.contract import wire
from tests.agent import program
from tests.agent.gateway import Gateway
from tests.fleet import Fleet, Node, sweep

FILES, SERVICES = 200, 20
INTERVAL = 1800
_DIRECTORY = "/srv/bench"
_UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
_REST = 0.3
"""Seconds between two edits, in which the node becomes idle again."""
_PATIENCE = 20.0


def bench() -> dict[str, list[float]]:
    """Seconds: `agent.drift.files`, `.healed` (p99, and the median), `.services` (p99)."""
    with _node() as (gateway, node):
        edits = [_edited(gateway, node, number) for number in range(FILES)]
        stops = [_stopped(gateway, node, number) for number in range(SERVICES)]
    reported, healed = zip(*edits, strict=True)
    return {
        "agent.drift.files": [_p99(reported)],
        "agent.drift.files.median": [statistics.median(reported)],
        "agent.drift.healed": [_p99(healed)],
        "agent.drift.services": [_p99([reported for reported, _ in stops])],
        "agent.drift.services.healed": [_p99([healed for _, healed in stops])],
    }


@contextmanager
def _node() -> Iterator[tuple[Gateway, Node]]:
    """A node with an installed agent that holds files and services, and has come to rest."""
    sweep()
    with tempfile.TemporaryDirectory() as directory, Fleet() as fleet:
        node = fleet.up("web-1").wait_booted()
        for number in range(SERVICES):
            node.write(f"/etc/systemd/system/bench-{number}.service", _UNIT)
        with Gateway(Path(directory), address=node.host_address) as gateway:
            node.put(program.archive(), "/root/agent.pyz")
            node.run(["python3", "/root/agent.pyz", "enroll", "--token-file", "-"], stdin=gateway.token())
            node.run(["python3", "/root/agent.pyz", "install"])
            gateway.wait(lambda: len(gateway.hellos) == 1, "the agent")
            services = [_service(number) for number in range(SERVICES)]
            gateway.want(1, [_files(), *services], interval=INTERVAL)
            gateway.wait(lambda: len(gateway.reports) == 1 + SERVICES, "the first reports")
            time.sleep(5)
            yield gateway, node


def _files() -> wire.Body:
    steps = [wire.BodyStep("directory", "ops:directory", 1, {"path": _DIRECTORY})]
    steps += [
        wire.BodyStep(f"file{number}", "ops:file", 1, {"path": _path(number), "content": _content(number)})
        for number in range(FILES)
    ]
    return wire.Body("Association/files", "Document/files", steps)


def _service(number: int) -> wire.Body:
    step = wire.BodyStep("it", "ops:service", 1, {"name": f"bench-{number}", "state": "started", "enabled": True})
    return wire.Body(f"Association/service-{number}", "Document/service", [step])


def _path(number: int) -> str:
    return f"{_DIRECTORY}/{number:03}.conf"


def _content(number: int) -> str:
    return f"{number:03} ".ljust(1023, "x") + "\n"


def _edited(gateway: Gateway, node: Node, number: int) -> tuple[float, float]:
    """By turns as an editor does it (a new file renamed over the old), and in place."""
    file = node.root / _path(number).lstrip("/")

    def edit() -> None:
        if number % 2:
            new = file.with_name("4913")
            new.write_text("by hand\n")
            new.rename(file)
        else:
            file.write_text("by hand\n")

    return _timed(gateway, edit, lambda: file.read_text() == _content(number))


def _stopped(gateway: Gateway, node: Node, number: int) -> tuple[float, float]:
    unit = f"bench-{number}.service"

    def runs() -> bool:
        return node.run(["systemctl", "is-active", unit], check=False).stdout == "active\n"

    return _timed(gateway, lambda: node.run(["systemctl", "stop", unit]), runs)


def _timed(gateway: Gateway, change: Callable[[], object], healed: Callable[[], bool]) -> tuple[float, float]:
    """Seconds from before the change until (it is reported, it is healed)."""
    known, began = len(gateway.reports), time.perf_counter()
    change()
    while not healed():
        if time.perf_counter() - began > _PATIENCE:
            raise AssertionError("it is not healed")
        time.sleep(0.002)
    again = time.perf_counter() - began
    gateway.wait(lambda: len(gateway.reports) > known, "the report")
    report = gateway.reports[known]
    assert report.cause == "Drift"
    reported = gateway.reported_at[known] - began
    time.sleep(_REST)
    return reported, again


def _p99(values: list[float] | tuple[float, ...]) -> float:
    return sorted(values)[-1 - len(values) // 100]
