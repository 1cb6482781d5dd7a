"""The daemon, and agents on real nodes, killed at any instant while they apply."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from agent.state import recordlog
from tests import faults
from tests.e2e import config
from tests.e2e.on_nodes import SceneOnNodes
from tests.fleet import Fleet
from tests.fleet.fixtures import node_rootfs  # noqa: F401

pytestmark = [pytest.mark.realnode, pytest.mark.fault, pytest.mark.usefixtures("node_rootfs")]

KILLS = faults.count(few=5, full=100)
LONGEST = 1.5
"""Seconds between a push and a kill, at most: fetching, giving, fetching bodies, running and reporting lie within."""
NODES = ["web-1", "db-1"]
DAEMON = "the daemon"
UNIT = "opsctl-agent"
RUNS = "/root/runs"
HURRY = "[Service]\nRestartSec=100ms\nEnvironment=OPSCTL_RECONNECT_MAX=0.5\n"


def version(number: int) -> dict[str, str]:
    tell = f"{number} >>{RUNS}"
    return {
        **config.document("state", config.file("/etc/version", f"{number}")),
        **config.document("job", config.script(f"echo begin {tell}", "sleep 0.2", f"echo end {tell}")),
    }


@pytest.fixture
def scene(node_rootfs: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SceneOnNodes]:  # noqa: F811
    files = {**config.fleet(), **config.association("state", ["*"]), **config.association("job", ["*"]), **version(0)}
    with Fleet() as fleet:
        for name in NODES:
            fleet.up(name)
            files |= config.node(name)
        with SceneOnNodes(tmp_path_factory.mktemp("e"), files, fleet) as scene:
            fleet.wait_booted()
            for node in fleet.nodes.values():
                node.write(f"/etc/systemd/system/{UNIT}.service.d/hurry.conf", HURRY)
            scene.join(*NODES)
            yield scene


def kill(scene: SceneOnNodes, victim: str) -> None:
    if victim == DAEMON:
        scene.daemon.kill()
        scene.daemon.start()
    else:
        scene.run(victim, "systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT)


def ended(scene: SceneOnNodes, name: str, association: str) -> bool:
    """Whether a node's last word on the newest generation is there."""
    row = scene.assignment(name, association)
    newest = max(int(scene.assignment(other, association).get("generation", 0)) for other in NODES)
    return bool(row and row["generation"] == newest and row["status"] == "Success")


def test_nothing_runs_twice_and_nothing_is_lost(scene: SceneOnNodes) -> None:
    seed = faults.seed()
    pick = random.Random(seed)
    for number in range(1, KILLS + 1):
        scene.repository.push(f"Version {number}", version(number))
        time.sleep(pick.uniform(0, LONGEST))  # the instant is what this is about
        kill(scene, pick.choice([DAEMON, *NODES]))
    scene.repository.push("The last version", version(KILLS + 1))
    scene.wait("all to be back", lambda: all(scene.online(name) for name in NODES))
    for name in NODES:
        scene.wait_for_file(name, "/etc/version", f"{KILLS + 1}")
        for association in ("state", "job"):
            scene.wait(f"{name}'s last word on {association}", partial(ended, scene, name, association))
        said = Counter(scene.run(name, "cat", RUNS).splitlines())
        assert [line for line, times in said.items() if times > 1] == [], f"seed {seed}: started twice"
        begun, over = ({line.split()[1] for line in said if line.startswith(word)} for word in ("begin", "end"))
        assert begun == over, f"seed {seed}"
        scene.wait(f"the reports of {name} to be acknowledged", partial(all_acknowledged, scene, name))


def all_acknowledged(scene: SceneOnNodes, name: str) -> bool:
    """Whether the node's journal, as it is on its disk, keeps no report that the server has not taken."""
    data = scene.fleet.nodes[name].read("/var/lib/opsctl/journal")
    records = [json.loads(record.payload) for record in recordlog.scan(data).records]
    told = [record["report"]["seq"] for record in records if record["kind"] == "report"]
    return max(told, default=0) <= max((record["seq"] for record in records if record["kind"] == "ack"), default=0)
