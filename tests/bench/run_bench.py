"""`opsctl run -- true` on 2,000 connected agents: from the request to the last result."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.adapters.store import open_store
from reconciler.core.records import Changes, NodeRow
from tests import lifeline
from tests.bench.swarm import public_key
from tests.e2e import config
from tests.stage import ConfigRepository, Daemon
from tests.stage.waiting import until

AGENTS = 2000
TIMES = 20
_TRUE = ("run", "-t", "*", "--max-concurrency", "100%", "--format", "json", "--", "true")
OPSCTL = Path(sys.executable).parent / "opsctl"


def bench_run(agents: int = AGENTS, times: int = TIMES) -> list[float]:
    """Seconds of each command."""
    with tempfile.TemporaryDirectory() as directory, _house(Path(directory), agents) as daemon:
        return [_one(daemon, agents) for _ in range(times)]


def _one(daemon: Daemon, agents: int) -> float:
    begun = time.perf_counter()
    said = json.loads(daemon.run(*_TRUE).stdout)
    taken = time.perf_counter() - begun
    assert (said["status"], said["completedCount"]) == ("Success", agents)
    return taken


@contextmanager
def _house(directory: Path, agents: int) -> Iterator[Daemon]:
    """A server with so many agents connected to it over TLS."""
    repository = ConfigRepository(directory, OPSCTL, config.fleet(agent={"interval": "30m"}))
    daemon = Daemon(OPSCTL, repository.remote, directory / "state").start()
    daemon.stop()
    ids = [f"mi-{number:017x}" for number in range(agents)]
    _enrol(daemon.state, ids)
    daemon.start()
    (directory / "nodes").write_text("\n".join(ids))
    words = [sys.executable, "-m", "tests.bench.swarm", f"wss://{daemon.address}:{daemon.port}/agent"]
    swarm = lifeline.start(
        [*words, str(daemon.state / "keys" / "ca.pem"), str(directory / "nodes")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert swarm.stdout is not None
        assert swarm.stdout.readline() == b"connected\n"
        until("all to be taken in", lambda: daemon.ask("/status")["online"] == agents, 60)
        yield daemon
    finally:
        swarm.kill()
        swarm.wait()
        daemon.stop()


def _enrol(state: Path, ids: list[str]) -> None:
    """Write nodes into the store of a server that does not run."""
    fleet_id = (state / "fleet").read_text().strip()
    now = int(time.time() * 1000)
    store = open_store(f"sqlite:///{state / 'store.db'}", fleet_id, now)
    store.renew_lease("bench", now, 60, seize=True)
    rows = tuple(NodeRow(known, f"node-{at}", public_key(), "", {}, now) for at, known in enumerate(ids))
    store.commit(Changes(at=now, nodes=rows))
    store.release_lease()
    store.close()


if __name__ == "__main__":
    for seconds in bench_run(int(sys.argv[1]), int(sys.argv[2])):
        sys.stdout.write(f"{seconds:.3f}\n")
