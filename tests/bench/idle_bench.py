"""What an agent takes that has nothing to do: the example's web role on a real node, its WebSocket up."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from tests.agent import program
from tests.bench.figures import RESTING
from tests.demo.ground import PACKAGES
from tests.fleet import Fleet, Node, sweep
from tests.stage import ConfigRepository, Daemon, RealMachine

WINDOW = float(os.environ.get("OPSCTL_IDLE_SECONDS", "600"))
"""Seconds looked at; less for a quick look."""
_NAME = "web-1"
_READ = """\
process=$(systemctl show --property MainPID --value opsctl-agent)
grep -E '^VmRSS' /proc/$process/status
cat /proc/$process/task/*/schedstat | sed 's/^/schedstat: /'
grep -E '^write_bytes' /proc/$process/io
"""


def bench() -> dict[str, list[float]]:
    """`agent.idle.rss` (MB), `agent.idle.cpu` (ms) and `agent.idle.written` (bytes) of the first window at rest."""
    sweep()
    with tempfile.TemporaryDirectory() as directory, Fleet() as fleet:
        node = fleet.up(_NAME, packages=PACKAGES).wait_booted()
        opsctl = Path(sys.executable).with_name("opsctl")
        repository = ConfigRepository(Path(directory), opsctl)
        daemon = Daemon(opsctl, repository.remote, Path(directory) / "state", fleet.host_address).start()
        try:
            RealMachine(node, _NAME).join(daemon.url, daemon.token(_NAME), program.archive())
            daemon.compliant([_NAME])
            time.sleep(5)
            _, spent, written = _now(node)
            if RESTING in os.environ:
                Path(os.environ[RESTING]).touch()
            time.sleep(WINDOW)
            resident, spent_then, written_then = _now(node)
            assert daemon.nodes()[_NAME]["state"] == "Online"
        finally:
            daemon.stop()
    return {
        "agent.idle.rss": [resident],
        "agent.idle.cpu": [spent_then - spent],
        "agent.idle.written": [written_then - written],
    }


def _now(node: Node) -> tuple[float, float, float]:
    """Resident MB, CPU ms since the start, bytes that went to a disk since then."""
    resident = spent = written = 0.0
    for line in node.run(["sh", "-c", _READ]).stdout.splitlines():
        name, _, value = line.partition(":")
        number = float(value.split()[0])
        if name == "VmRSS":
            resident = number / 1024
        elif name == "schedstat":
            spent += number / 1_000_000
        elif name == "write_bytes":
            written = number
    return resident, spent, written
