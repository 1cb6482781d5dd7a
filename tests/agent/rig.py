"""A node's rounds without a link: sets are put into its hands, time is the test's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from agent.contract import sshsig, wire
from agent.contract.canonical import canonical, digest, milliseconds
from agent.contract.codec import from_wire, to_wire
from agent.host import LocalHost
from agent.rounds.bench import Bench
from agent.rounds.ledger import Ledger
from agent.rounds.refreshes import Refreshes
from agent.rounds.rounds import Rounds
from agent.rounds.telling import Telling
from agent.state import identity
from agent.state.assignments import Assignments
from agent.state.contact import Contact
from agent.state.inventory import Inventories
from agent.state.jobs import Jobs
from agent.state.journal import Journal
from agent.state.leave import Leave
from agent.state.node import Node
from agent.state.questions import Questions
from agent.state.status import StatusFile
from agent.watch.watch import Watch
from tests.agent.pki import ControllerKey

FLEET, NODE = "fleet-1", "mi-0123456789abcdef0"
BEGINNING = milliseconds("2026-03-01T00:00:00.000Z")


class HandClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.stepped = 0

    def now(self) -> int:
        return BEGINNING + int(self.seconds * 1000) + self.stepped

    def elapsed(self) -> float:
        return self.seconds


def body(uid: str = "Association/motd", text: str = "hello\n", path: str = "/etc/motd", **changes: Any) -> wire.Body:
    """A body that puts a text into a file."""
    step = wire.BodyStep("motd", "ops:file", 1, {"path": path, "content": text})
    return dataclasses.replace(wire.Body(uid, "motd", [step]), **changes)


def script(*lines: str, uid: str = "Association/script", **changes: Any) -> wire.Body:
    """A body that runs a script."""
    step = wire.BodyStep("run", "aws:runShellScript", 1, {"runCommand": list(lines)})
    return dataclasses.replace(wire.Body(uid, "script", [step]), **changes)


def counting(uid: str = "Association/script", **changes: Any) -> wire.Body:
    """A body that runs a script whose runs are counted by `Rig.runs`."""
    return script("echo run >> $OPSCTL_ROOT/runs", uid=uid, **changes)


def causes(reports: list[wire.Report]) -> list[tuple[str, str, str]]:
    """Of each report the association's name, the cause and the status."""
    return [(report.uid.partition("/")[2], report.cause, report.status) for report in reports]


def outcomes(report: wire.Report) -> list[str]:
    return [claim.outcome for claim in report.claims]


class Rig:
    """One node on a directory tree."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root"
        (self.root / "etc").mkdir(parents=True, exist_ok=True)
        self.state = str(directory / "state")
        self.controller = ControllerKey()
        found = identity.Identity(FLEET, NODE, "web-1", self.controller.text, "sha256:00", ["https://a:1"], 1)
        self.keys = identity.keys_made(self.state)
        identity.save(self.state, found, "")
        self.clock = HandClock()
        self.boot = "boot-1"
        self.lost = 0
        self.stop_after = 10**9
        self.watch: Watch | None = None
        self._sent = 0
        self.start()

    def start(self) -> None:
        """A new agent process on what is on disk."""
        found = identity.load(self.state)
        self.journal = Journal(self.state)
        self.assignments = Assignments(self.state, found)
        self.contact = Contact(self.state, self.clock, self.boot)
        leave = Leave(self.state, found, self.contact, self.clock)
        jobs = Jobs(self.state, found, self.clock.elapsed)
        self.assignments.also = jobs.bodies
        self.node = Node(
            found,
            self.keys.signer(),
            self.assignments,
            self.journal,
            self.contact,
            self.clock,
            leave,
            jobs,
            Inventories(self.state),
            Questions(found, jobs.place),
        )
        scripts = self.directory / "state" / "scripts"
        scripts.mkdir(exist_ok=True)
        ledger = Ledger(f"{self.state}/ledger.json")
        host = LocalHost(str(self.root), str(scripts), runs_scripts=True)
        bench = Bench(host, ledger, lambda: {"osName": "Debian"}, self.boot)
        telling = Telling(self.node, StatusFile(self.state, "results.json"), lambda: None)
        self.refreshes = Refreshes(self.assignments, self.journal.instant, lambda: None)
        self.rounds = Rounds(self.node, bench, telling, self._lacking, self.watch, self.refreshes)

    def watch_it(self) -> None:
        """Start again, with a watch of the tree. What is touched is real, and so is the time that it takes."""
        self.watch = Watch(StatusFile(self.state, "watch.json"), str(self.root))
        self.restart()

    def restart(self, boot: str | None = None) -> None:
        self.journal.close()
        self.boot = boot or self.boot
        self.start()

    def close(self) -> None:
        self.journal.close()
        if self.watch is not None:
            self.watch.close()

    def give(self, serial: int, *bodies: wire.Body, generation: int = 1, **changes: Any) -> wire.AssignmentSet:
        """Hold a set of these bodies, as if the link had brought it."""
        context = self.put(wire.NodeContext(name="web-1", labels=changes.pop("labels", {})))
        assignment = changes.pop("assignment", {})
        made = wire.AssignmentSet(
            protocol=1,
            fleet_id=FLEET,
            node_id=NODE,
            incarnation=1,
            serial=serial,
            issued_at="2026-03-01T00:00:00.000Z",
            expires_in=wire.VALID_FOR,
            context_digest=context,
            assignments={
                item.uid: dataclasses.replace(
                    wire.Assignment(generation, self.put(item), "none", [wire.Interval()]), **assignment
                )
                for item in bodies
            },
            interval=30,
        )
        made = dataclasses.replace(made, **changes)
        signed = self.controller.sign(sshsig.ASSIGNMENTS, canonical(to_wire(made)))
        self.assignments.commit(signed, self.assignments.check(canonical(to_wire(made))))
        self.contact.heard()
        return made

    def put(self, value: wire.Body | wire.NodeContext | bytes) -> str:
        data = value if isinstance(value, bytes) else canonical(to_wire(value))
        incoming = self.assignments.objects.receive(digest(data), len(data))
        incoming.write(data)
        incoming.finish()
        return digest(data)

    def run(self, after: float = 0.0) -> list[wire.Report]:
        """Let time pass, do what is due; the reports that came of it."""
        self.clock.seconds += after
        self.rounds.run_due(lambda: False)
        return self.reports()

    def reports(self) -> list[wire.Report]:
        """Reports kept since the last call."""
        new = []
        for item in self.journal.pending(after=self._sent):
            payload = self.journal.payload(item.seq)
            assert payload is not None
            new.append(from_wire(wire.Report, json.loads(payload)))
            self._sent = item.seq
        return new

    def file(self, path: str = "etc/motd") -> Path:
        return self.root / path

    def runs(self) -> int:
        """How often `counting` ran."""
        return len(self.file("runs").read_text().splitlines()) if self.file("runs").exists() else 0

    def _lacking(self) -> None:
        self.lost += 1
