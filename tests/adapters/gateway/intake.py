"""The intake in memory: nodes, sets and contents in dicts; what the gateway hands in, in lists."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.contract.canonical import digest
from agent.contract.inventory import Inventoried, Inventory
from agent.contract.wire import PROTOCOL, VALID_FOR, AssignmentSet, Enrolled
from reconciler.adapters.outputs import MemoryOutputs
from reconciler.core.node_ports import Orders
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.contract.job import Accepted, Compile, Compiled, Output, Revoked
    from agent.contract.leave import Ask
    from agent.contract.wire import Enrolment, Held, Hello, Pulse, Report

FLEET = "fleet-of-tests"
INCARNATION = 1_700_000_000_000
DEADLINE = 10.0


@dataclass
class MemoryIntake:
    """`Intake` without a controller. `fail[NAME]` is raised by the next calls of that method until it is removed."""

    keys: dict[str, str] = field(default_factory=dict)
    sets: dict[str, AssignmentSet] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    controller_key: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    holdings: dict[str, Held] = field(default_factory=dict)
    pulses: list[Pulse] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    ordered: dict[str, Orders] = field(default_factory=dict)
    answers: dict[str, Compiled] = field(default_factory=dict)
    """What documents found on nodes come to, by their text."""
    outputs: MemoryOutputs = field(default_factory=MemoryOutputs)
    inventory: list[Inventory] = field(default_factory=list)
    fail: dict[str, Exception] = field(default_factory=dict)
    durable: threading.Event = field(default_factory=threading.Event)
    """Reports are taken while it is set."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.durable.set()

    def admit(self, node_id: str, key: str) -> None:
        """Know this node, with an empty set of serial 0."""
        self.keys[node_id] = key
        self.sets[node_id] = AssignmentSet(
            protocol=PROTOCOL,
            fleet_id=FLEET,
            node_id=node_id,
            incarnation=INCARNATION,
            serial=0,
            issued_at="2026-01-01T00:00:00.000Z",
            expires_in=VALID_FOR,
            context_digest="sha256:" + "0" * 64,
            assignments={},
        )

    def advance(self, node_id: str) -> AssignmentSet:
        """The node's set changes."""
        present = self.sets[node_id]
        self.sets[node_id] = replace(present, serial=present.serial + 1)
        return self.sets[node_id]

    def keep(self, data: bytes) -> str:
        """Have this content; its digest."""
        self.contents[digest(data)] = data
        return digest(data)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something that calls change is so."""
        with self.changed:
            end = time.monotonic() + DEADLINE
            while not holds():
                assert self.changed.wait(max(0.0, end - time.monotonic())), f"not so in {DEADLINE} s; {self.calls}"

    # -- the port ------------------------------------------------------------------------------------------------

    def node_key(self, node_id: str) -> str | None:
        self._called("node_key", node_id)
        return self.keys.get(node_id)

    def enrol(self, request: Enrolment, peer: str) -> Enrolled:
        self._called("enrol", peer)
        expected = self.tokens.get(request.token_id)
        if expected is None:
            raise Refused("the token is not known here", rule="unknown")
        if expected != request.secret:
            raise Refused("the token was used by another machine", rule="used")
        node_id = f"mi-{secrets.token_hex(9)[1:]}"
        self.admit(node_id, request.sign_key)
        return Enrolled(FLEET, node_id, request.hostname, self.controller_key, INCARNATION)

    def connected(self, hello: Hello) -> None:
        self._called("connected", hello.node_id)

    def disconnected(self, node_id: str) -> None:
        self._called("disconnected", node_id)

    def desired(self, node_id: str) -> AssignmentSet:
        self._called("desired", node_id)
        return self.sets[node_id]

    def held(self, node_id: str, held: Held) -> None:
        self.holdings[node_id] = held
        self._called("held", node_id)

    def reported(self, node_id: str, report: Report) -> None:
        assert self.durable.wait(DEADLINE)
        self._called("reported", node_id)
        with self.changed:
            self.reports.append(report)
            self.changed.notify_all()

    def pulsed(self, node_id: str, pulse: Pulse) -> None:
        self.pulses.append(pulse)
        self._called("pulsed", node_id)

    def asked(self, node_id: str, ask: Ask) -> None:
        self.asks.append(ask)
        self._called("asked", node_id)

    def accepted(self, node_id: str, accepted: Accepted) -> None:
        self._called("accepted", accepted.job_id)

    def revoked(self, node_id: str, revoked: Revoked) -> None:
        self._called("revoked", revoked.job_id)

    def output(self, node_id: str, output: Output, offset: int, data: bytes) -> tuple[int, bool]:
        kept = self.outputs.append(output.job_id, output.step, output.name, offset, data)
        self._called("output", output.job_id)
        return kept

    def inventoried(self, node_id: str, said: Inventory) -> Inventoried:
        self._called("inventoried", node_id)
        self.inventory.append(said)
        return Inventoried(said.type_name, said.content_hash, lacking=said.content is None)

    def compiled(self, node_id: str, question: Compile) -> Compiled:
        self._called("compiled", question.job_id)
        return self.answers[question.text]

    def orders(self, node_id: str) -> Orders:
        return self.ordered.get(node_id, Orders())

    def content(self, node_id: str, digest: str) -> bytes | None:
        self._called("content", node_id)
        return self.contents.get(digest)

    def _called(self, name: str, about: str) -> None:
        with self.changed:
            self.calls.append((name, about))
            self.changed.notify_all()
        if name in self.fail:
            raise self.fail[name]
