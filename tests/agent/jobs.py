"""Jobs as the server would send them to the node of a `Rig`, and a runner that is driven by a test."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

from agent.contract import sshsig, wire
from agent.contract.canonical import canonical
from agent.contract.codec import to_wire
from agent.contract.job import Job, Revocation
from agent.contract.leave import Envelope
from agent.host.local import LocalHost
from agent.rounds.bench import Bench
from agent.rounds.jobs import JobRunner
from agent.rounds.ledger import Ledger
from tests.agent.pki import ControllerKey
from tests.agent.rig import FLEET, NODE, Rig

PATIENCE = 30.0


def job_id(number: int = 1) -> str:
    return f"01953e5c-0000-7000-8000-{number:012x}"


def envelope(number: int = 1, **changes: Any) -> Envelope:
    made = Envelope(
        1,
        FLEET,
        NODE,
        1,
        0,
        "2026-03-01T00:00:00.000Z",
        600,
        job_id(number),
        delivery_timeout=600,
        execution_timeout=600,
    )
    return dataclasses.replace(made, **changes)


def signed_job(key: ControllerKey, body_digest: str, number: int = 1, **changes: Any) -> wire.Signed:
    return key.sign(sshsig.JOB, canonical(to_wire(Job(envelope(number, **changes), body_digest))))


def signed_end(key: ControllerKey, number: int = 1, **changes: Any) -> wire.Signed:
    revocation = Revocation(envelope(number, **changes), job_id(number))
    return key.sign(sshsig.REVOCATION, canonical(to_wire(revocation)))


class Runner:
    """The jobs of a rig's node at work."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.reboots: list[str] = []
        self.turn = threading.Lock()
        self.start()

    def start(self) -> None:
        """A new agent process on what is on disk."""
        rig = self.rig
        host = LocalHost(str(rig.root), f"{rig.state}/scripts", runs_scripts=True)
        bench = Bench(host, Ledger(f"{rig.state}/ledger.json"), lambda: {"osName": "Debian"}, rig.boot, turn=self.turn)
        self.jobs = JobRunner(
            rig.node,
            bench,
            str(rig.root),
            f"{rig.state}/scripts",
            runs_scripts=True,
            wake=lambda: None,
            reboot=self.reboots.append,
        )
        self.thread = threading.Thread(target=self.jobs.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.jobs.stop()
        self.thread.join(PATIENCE)

    def take(self, body: wire.Body, number: int = 1, **changes: Any) -> str:
        rig = self.rig
        return rig.node.jobs.take(signed_job(rig.controller, rig.put(body), number, **changes))[0]

    def end(self, number: int = 1) -> None:
        self.rig.node.jobs.revoke(signed_end(self.rig.controller, number))

    def reported(self, count: int = 1) -> list[wire.Report]:
        """Wait for so many reports since the last call."""
        found: list[wire.Report] = []
        deadline = time.monotonic() + PATIENCE
        while len(found) < count:
            found += self.rig.reports()
            assert time.monotonic() < deadline, f"{len(found)} of {count} reports came"
            time.sleep(0.01)
        return found


def until(what: str, look: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)
