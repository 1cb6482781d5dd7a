"""A thousand executions at once through a whole controller: real store on disk, real threads, real time."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from reconciler.adapters.git import MemoryProposals, MemoryReportBranch, MemoryRepository, MemorySource
from reconciler.adapters.notify import MemoryNotifier
from reconciler.adapters.outputs import MemoryOutputs
from reconciler.adapters.renderer import MemoryRenderer
from reconciler.adapters.ssh import MemoryVisitor
from reconciler.adapters.store import open_store
from reconciler.adapters.timer import SystemClock, SystemTimer
from reconciler.api.requests import Start
from reconciler.controller.assembly import LEASE_SECONDS, Controller, Identity, Ports, Wakes
from reconciler.core.access import Subject
from reconciler.core.executions import Answer

EXECUTIONS = 1000
STEPS = 10
_FLEET = "fl-0123456789abcdef0"
_ROOT = Subject("root@socket", everything=True)
_FILES = {
    "fleet.yaml": "apiVersion: ops/v1\nkind: Fleet\nmetadata: {name: bench}\nspec: {}\n",
    "documents/ten.json": json.dumps(
        {
            "schemaVersion": "0.3",
            "parameters": {"Number": {"type": "String"}},
            "mainSteps": [
                {
                    "name": f"s{number}",
                    "action": "aws:invokeWebhook",
                    "inputs": {
                        "IntegrationName": "bench",
                        "Body": f"{{{{ s{number - 1}.Response }}}}" if number else "{{ Number }}",
                    },
                }
                for number in range(STEPS)
            ],
        }
    ),
}


class Gate:
    """An `Outside` that answers at once, once it is open, and counts what it was asked for."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked: Counter[str] = Counter()

    def perform(self, work: str, action: str, inputs: Mapping[str, Any], deadline: int | None) -> Answer:
        del action, deadline
        self.open.wait()
        self.asked[work] += 1
        return Answer(outputs={"Response": f"{inputs['Body']}.", "ResponseCode": 200})


def bench_concurrent() -> list[float]:
    """Seconds per step, of 1,000 executions of 10 steps each that are all under way before the first is answered."""
    gate = Gate()
    with tempfile.TemporaryDirectory() as directory, _controller(Path(directory), gate) as controller:
        runs = controller.service.automations
        ids = [
            runs.start(_ROOT, Start(document="ten", parameters={"Number": [str(number)]}))["execution"]
            for number in range(EXECUTIONS)
        ]
        begun = time.perf_counter()
        gate.open.set()
        store = controller._ports.store  # what it is measured by
        while store.open_executions():
            time.sleep(0.1)
        seconds = time.perf_counter() - begun
        for known in ids:
            steps = runs.show(_ROOT, known)["steps"]
            assert [step["status"] for step in steps] == ["Success"] * STEPS
        assert len(gate.asked) == EXECUTIONS * STEPS
        assert set(gate.asked.values()) == {1}
    return [seconds / (EXECUTIONS * STEPS)]


@contextmanager
def _controller(directory: Path, gate: Gate) -> Iterator[Controller]:
    clock = SystemClock()
    remote = MemoryRepository()
    remote.commit("main", {path: text.encode() for path, text in _FILES.items()}, at=clock.now_ms())
    with ExitStack() as stack:
        store = open_store(f"sqlite:///{directory / 'store.db'}", _FLEET, clock.now_ms())
        stack.callback(store.close)
        store.renew_lease("bench", clock.now_ms(), LEASE_SECONDS)
        timer = SystemTimer(clock)
        stack.callback(timer.close)
        ports = Ports(
            store=store,
            source=MemorySource(remote),
            reports=MemoryReportBranch(remote),
            proposals=MemoryProposals(remote),
            notifier=MemoryNotifier(),
            clock=clock,
            timer=timer,
            bus=Wakes(),
            visitor=MemoryVisitor(),
            renderer=MemoryRenderer(),
            outputs=MemoryOutputs(),
            outside={"aws:invokeWebhook": gate},
        )
        controller = Controller(ports, Identity(_FLEET, "ssh-ed25519 BENCH", "sha256:ca", (), "bench"))
        controller.start()
        stack.callback(controller.stop)
        controller.service.sync(_ROOT)
        yield controller
