"""The real controller and real agents, with hosts in memory and nothing but method calls between them."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import pytest

from agent.contract import sshsig
from agent.contract.canonical import canonical, instant
from agent.contract.codec import to_wire
from agent.contract.wire import Held
from agent.host.memory import MemoryHost
from agent.host.port import Ran
from agent.rounds.bench import Bench
from agent.rounds.ledger import Ledger
from agent.rounds.rounds import Rounds
from agent.rounds.telling import Telling
from agent.state import identity
from agent.state.status import StatusFile
from tests.agent.rig import Rig
from tests.controller.house import BORN, FLEET_ID, ROOT, House, Machine, small
from tests.engine.repository import association

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.adapters.timer import HandTimer

SCAN = "Association/scan"
DOCUMENT = """\
schemaVersion: "2.2"
mainSteps:
- name: scan
  action: aws:runShellScript
  inputs: {runCommand: [scan], timeoutSeconds: 60}
- name: motd
  action: ops:file
  inputs: {path: /etc/motd, content: hello}
"""
QUARTER = 900_000
FIRST = (BORN // QUARTER + 1) * QUARTER


def _nothing() -> None:
    """Happens before the agent acts."""


class HouseClock:
    """The house's time as an agent asks for it."""

    def __init__(self, timer: HandTimer) -> None:
        self._timer = timer

    def now(self) -> int:
        return self._timer.now_ms()

    def elapsed(self) -> float:
        return self._timer.elapsed()


class Met(Rig):
    """A real agent in the place of a machine that is played."""

    def __init__(self, house: House, machine: Machine, directory: Path) -> None:
        self.house, self.machine = house, machine
        self.fails = False
        self.began: list[int] = []
        self._asked: set[Any] = set()
        super().__init__(directory)
        found = identity.load(self.state)
        incarnation = machine.position[0]
        known = dataclasses.replace(found, fleet_id=FLEET_ID, node_id=machine.id, incarnation=incarnation)
        identity.save(self.state, known, "")
        self.clock = HouseClock(house.timer)  # type: ignore[assignment]  # it passes as one
        self.restart()

    def start(self) -> None:
        super().start()
        self.host = Host(self)
        bench = Bench(self.host, Ledger(f"{self.state}/ledger.json"), dict, self.boot)
        self.rounds = Rounds(
            self.node, bench, Telling(self.node, StatusFile(self.state, "results.json"), _nothing), _nothing
        )
        self._asked = set()

    def meet(self) -> None:
        """Everything that a connection would carry, and a round."""
        intake, machine = self.house.intake, self.machine
        orders, leave = intake.orders(machine.id), self.node.leave
        if orders.hold is not None:
            leave.holds.take(self.controller.sign(sshsig.HOLD, canonical(to_wire(orders.hold))))
        for permit in orders.permits:
            leave.permits.granted(permit, self.clock.elapsed())
        for postponed in orders.postponed:
            leave.permits.postponed(postponed)
        self._hold_the_set()
        self.contact.heard()
        self.rounds.run_due(lambda: False)
        for ask in leave.permits.wanted():
            if ask not in self._asked:
                self._asked.add(ask)
                intake.asked(machine.id, ask)
        for report in self.reports():
            intake.reported(machine.id, report)

    def _hold_the_set(self) -> None:
        intake, node_id = self.house.intake, self.machine.id
        desired = intake.desired(node_id)
        if (desired.incarnation, desired.serial) <= tuple(self.assignments.position()):
            return
        for wanted in (desired.context_digest, *(one.body_digest for one in desired.assignments.values())):
            data = intake.content(node_id, wanted)
            assert data is not None
            self.put(data)
        payload = canonical(to_wire(desired))
        signed = self.controller.sign(sshsig.ASSIGNMENTS, payload)
        self.assignments.commit(signed, self.assignments.check(payload))
        digests = {uid: one.body_digest for uid, one in desired.assignments.items()}
        intake.held(node_id, Held(desired.incarnation, desired.serial, digests))


class Host(MemoryHost):
    """Notes when scripts are begun."""

    def __init__(self, met: Met) -> None:
        super().__init__()
        self._met = met
        self.runs_scripts = True
        self.mkdir("/etc", 0o755)

    def now(self) -> int:
        return self._met.clock.now()

    def run_script(self, *arguments: Any, **more: Any) -> Ran:
        self._met.began.append(self.now())
        return Ran(3 if self._met.fails else 0, b"")


class Meeting:
    """A house with real agents in it."""

    def __init__(self, directory: Path, count: int, **limits: str) -> None:
        names = [f"n-{number}" for number in range(count)]
        text = association("scan", "scan", scheduleExpression="rate(15 minutes)", **limits)
        files = {"documents/scan.yaml": DOCUMENT, "associations/base.yaml": text}
        self.house = House(small(*names) | files)
        self.met: list[Met] = []
        for machine in self.house.enrol(*names):
            machine.connect()
            machine.answers = False
            self.met.append(Met(self.house, machine, directory / machine.name))

    def go(self, seconds: int, step: float = 5.0) -> None:
        for _ in range(int(seconds / step)):
            self.house.timer.advance(step)
            self.house.bus.woken.clear()
            for one in self.met:
                one.meet()

    def until(self, at: int) -> None:
        self.go(int((at - self.house.timer.now_ms()) / 1000))

    def since(self, at: int) -> list[int]:
        return [begun for one in self.met for begun in one.began if begun >= at]


@pytest.fixture
def meeting(tmp_path: Path) -> Iterator[Meeting]:
    made = Meeting(tmp_path, 12, maxConcurrency='"3"', maxErrors='"1"')
    yield made
    for one in made.met:
        one.close()


def test_runs_are_counted_errors_end_them_and_a_freeze_stops_all(meeting: Meeting) -> None:
    house = meeting.house
    meeting.until(FIRST - 10_000)
    assert len(meeting.since(0)) == 12, "the generation's own run was made everywhere"
    meeting.until(FIRST + 100_000)
    assert len(meeting.since(FIRST)) == 12
    for one in meeting.met:
        one.fails = True
    second = FIRST + QUARTER
    meeting.until(second + 100_000)
    assert 2 <= len(meeting.since(second)) <= 4, "one may fail, and those that were under way"
    left = [one for one in meeting.met if not [begun for begun in one.began if begun >= second]]
    assert len(left) >= 8
    for one in left:
        (shown,) = house.service.node(ROOT, one.machine.name)["assignments"]
        assert (shown["status"], shown["compliance"]) == ("Cancelled", "UNKNOWN")
        assert re.search(f"not run at {instant(second)}: maxErrors: failed on [2-4] of 12 nodes", shown["reason"])
    for one in meeting.met:
        one.fails = False
    third = second + QUARTER
    freeze = f"freeze: {{reason: a story, until: '{instant(third + 200_000)}'}}"
    house.push({"fleet.yaml": f"apiVersion: ops/v1\nkind: Fleet\nmetadata: {{name: acme}}\nspec: {{{freeze}}}\n"})
    meeting.until(third - 60_000)
    for one in meeting.met:
        one.host.unlink("/etc/motd")
    meeting.until(third + 190_000)
    assert meeting.since(third) == []
    assert not any(one.host.lstat("/etc/motd") for one in meeting.met)
    meeting.until(third + 600_000)
    assert len(meeting.since(third)) == 12, "it is made up for once"
    meeting.met[0].restart()
    house.restart()
    for one in meeting.met:
        incarnation, serial = one.assignments.position()
        one.machine.position = (incarnation, serial)
        context, digests = one.assignments.held_digests()
        one.machine.context = context or ""
        one.machine.given = {uid: (1, digest) for uid, digest in digests.items()}
        one.machine.connect()
        one._asked.clear()
    fourth = third + QUARTER
    meeting.until(fourth + 100_000)
    assert len(meeting.since(fourth)) == 12
