"""One connection, frame by frame: what a released agent and a released server said to each other.

    python -m tests.agent.recording     records the conversation of this version

A recording is a text file of lines `server TEXT`, `server-bytes BASE64` and `agent TEXT`. It is made of fixed keys,
nonces and times; the agent's part is the real `Session`'s.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import agent
from agent.contract import frames, sshsig, wire
from agent.contract.canonical import canonical, digest
from agent.contract.codec import from_wire, to_wire
from agent.contract.inputs import ACTIONS
from agent.contract.inventory import Inventoried, packed
from agent.contract.job import Job, Revocation
from agent.contract.leave import Ask, Envelope, Hold, Permit, Postponed
from agent.contract.reserved import RESERVED
from agent.contract.session import Ticket
from agent.crypto import Signer
from agent.link.session import Session
from agent.serve import FEATURES
from agent.state.assignments import Assignments
from agent.state.contact import Contact
from agent.state.identity import Identity
from agent.state.inventory import Inventories
from agent.state.jobs import Jobs
from agent.state.journal import Journal
from agent.state.leave import Leave
from agent.state.node import Node
from agent.state.questions import Questions
from tests.agent.pki import ControllerKey
from tests.agent.reports import report
from tests.agent.rig import HandClock

DIRECTORY = Path(__file__).with_name("recorded")
FLEET, NODE = "fleet-1", "mi-0123456789abcdef0"
FINGERPRINT = digest(b"the certificate of the recording")
ASKED = Ask("Association/scan", 2, "2026-03-01T00:00:00.000Z")
"""The permit that a run waits for."""
_CONTROLLER = ControllerKey(b"c" * 32)
_NAMESPACES = {
    "keys": sshsig.KEYS,
    "proof": sshsig.JOB,
    "seals": sshsig.ASSIGNMENTS,
    "ticket": sshsig.TICKET,
}


def hello() -> wire.Hello:
    """What the agent of this version says of itself."""
    return wire.Hello(
        node_id=NODE,
        protocol_min=1,
        protocol_max=1,
        agent_version=agent.__version__,
        platform="Linux",
        boot_id="boot-1",
        key_generation=1,
        steps={name: action.version for name, action in ACTIONS.items()},
        features=list(FEATURES),
        incarnation=1,
        serial=0,
        facts={"hostname": "web-1"},
        at="2026-03-01T00:16:40.000Z",
        monotonic=1_000_000,
    )


class Stage:
    """A node in a fresh state directory, with nothing left to chance."""

    def __init__(self, directory: str, said: wire.Hello) -> None:
        identity = Identity(FLEET, NODE, "web-1", _CONTROLLER.text, FINGERPRINT, ["https://a:1"], 1)
        clock = HandClock()
        self.journal = Journal(directory)
        assignments = Assignments(directory, identity)
        contact = Contact(directory, clock, "boot-1")
        leave = Leave(directory, identity, contact, clock)
        jobs = Jobs(directory, identity, clock.elapsed)
        self.inventory = Inventories(directory)
        node = Node(
            identity,
            Signer(b"n" * 32),
            assignments,
            self.journal,
            contact,
            clock,
            leave,
            jobs,
            self.inventory,
            Questions(identity, jobs.place),
        )
        self.session = Session(node, FINGERPRINT, lambda: said, lambda: None)
        self.leave = leave
        for cause in ("Assigned", "Drift"):
            self.journal.report(report(cause=cause), "content", applied=True)

    def answer(self, line: str) -> Iterator[str]:
        """The agent's lines after one of the server's."""
        kind, _, text = line.partition(" ")
        with mock.patch("agent.link.session.os.urandom", lambda count: b"r" * count):
            if kind == "server":
                self.session.text(text)
            else:
                self.session.binary(base64.b64decode(text))
            self.session.tick()
        while self.session.outgoing:
            said = self.session.outgoing.popleft()
            assert isinstance(said, str)
            yield "agent " + said

    def collect(self) -> None:
        """Have inventory to tell of."""
        self.inventory.collected([packed("Custom:Rack", "1.0", "2026-03-01T00:00:00.000Z", [{"Location": "B3"}])])


def replay(lines: list[str]) -> list[str]:
    """The server's lines of a recording, and what this agent answers each, with the hello that was recorded."""
    said = next(json.loads(line[6:])["hello"] for line in lines if line.startswith('agent {"hello"'))
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(directory, from_wire(wire.Hello, said))
        if any(line.startswith('agent {"uid"') and '"type":"ask"' in line for line in lines):
            stage.leave.permits.want(ASKED.uid, ASKED.generation, ASKED.run_instant)
        if any('"type":"inventory"' in line for line in lines):
            stage.collect()
        played = []
        for line in lines:
            if line.startswith("server"):
                played += [line, *stage.answer(line)]
        stage.journal.close()
    return played


def record() -> list[str]:
    """The conversation of this version."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(directory, hello())
        stage.leave.permits.want(ASKED.uid, ASKED.generation, ASKED.run_instant)
        stage.collect()
        for line in _server(lines):
            lines += [line, *stage.answer(line)]
        stage.journal.close()
    return lines


def _server(so_far: list[str]) -> Iterator[str]:
    """What the server says, in its order; `so_far` has what the agent answered."""
    yield _say(wire.Challenge(FLEET, "bm9uY2Ugb2YgdGhlIHJlY29yZGluZw==", 1, 1))
    said = json.loads(so_far[-1].partition(" ")[2])
    yield _signed("welcome", sshsig.HELLO, base64.b64decode(said["signed"]["payload"]))
    context = canonical(to_wire(wire.NodeContext("web-1", {"env": "prod"}, {"port": 80})))
    source = b"Welcome to {{ name }}\n"
    step = wire.BodyStep("motd", "ops:file", 1, {"path": "/etc/motd", "source": "files/motd", "template": True})
    files = {"files/motd": wire.FileRef(digest(source), len(source))}
    body = canonical(to_wire(wire.Body("Association/motd", "Document/motd", [step], prune=True, files=files)))
    held = wire.Assignment(3, digest(body), "none", [wire.Interval(), wire.Interval("2026-03-01T00:00:00.000Z")])
    assignments = wire.AssignmentSet(
        protocol=1,
        fleet_id=FLEET,
        node_id=NODE,
        incarnation=1,
        serial=7,
        issued_at="2026-03-01T00:00:00.000Z",
        expires_in=wire.VALID_FOR,
        context_digest=digest(context),
        assignments={"Association/motd": held},
        interval=300,
        must_understand=["interval"],
    )
    yield _signed("assignments", sshsig.ASSIGNMENTS, canonical(to_wire(assignments)))
    for stream, data in enumerate((context, body, source), start=1):
        yield _say(wire.Stream(stream, digest(data), len(data)))
        yield from _chunks(stream, data)
    yield _say(wire.Ack(2))
    announced = next(json.loads(line[6:]) for line in so_far if '"type":"inventory"' in line)
    yield _say(Inventoried("Custom:Rack", announced["contentHash"], lacking=True))
    yield _say(Inventoried("Custom:Rack", announced["contentHash"]))
    envelope = Envelope(1, FLEET, NODE, 1, 4, "2026-03-01T00:00:00.000Z", 60)
    hold = Hold(envelope, "freeze of the year's end", "2026-03-02T00:00:00.000Z")
    yield _signed("hold", sshsig.HOLD, canonical(to_wire(hold)))
    permit = Permit(envelope, ASKED.uid, ASKED.generation, ASKED.run_instant)
    yield _say(Postponed(ASKED.uid, ASKED.generation, ASKED.run_instant, "maxConcurrency 1: 1 of 3 at once"))
    yield _signed("permit", sshsig.JOB, canonical(to_wire(permit)))
    yield from _jobs(envelope, body)
    for name in sorted(RESERVED):
        yield _signed(name, _NAMESPACES[name], canonical(_reserved(name)))
    ticket = Ticket(
        replace(envelope, serial=7, job_id="01953e5c-0000-7000-8000-000000000000"), "t-1", "alice", {"seconds": 600}
    )
    yield _signed("ticket", sshsig.TICKET, canonical(to_wire(ticket)))
    yield _signed(
        "assignments",
        sshsig.ASSIGNMENTS,
        canonical({**to_wire(assignments), "serial": 8, "mustUnderstand": ["quorum"]}),
    )
    yield _signed("assignments", sshsig.ASSIGNMENTS, canonical({**to_wire(assignments), "serial": 6}))
    yield 'server {"type":"of-a-later-day"}'


def _jobs(envelope: Envelope, body: bytes) -> Iterator[str]:
    """A job whose body is on the node already, its end, the end of one that never came, and what is none of a job."""
    first, second = (f"01953e5c-0000-7000-8000-00000000000{number}" for number in (1, 2))
    of_job = replace(envelope, job_id=first, delivery_timeout=3600, execution_timeout=600, cause="run by alice")
    yield _signed("job", sshsig.JOB, canonical(to_wire(Job(of_job, digest(body)))))
    yield _signed("job", sshsig.JOB, canonical(to_wire(Job(of_job, digest(body)))))
    yield _signed("revocation", sshsig.REVOCATION, canonical(to_wire(Revocation(of_job, first))))
    of_other = replace(of_job, job_id=second)
    yield _signed("revocation", sshsig.REVOCATION, canonical(to_wire(Revocation(of_other, second))))
    yield _signed("job", sshsig.JOB, canonical(to_wire(Job(of_other, digest(body)))))
    yield _signed("revocation", sshsig.REVOCATION, canonical(to_wire(Revocation(of_other, "t-1"))))
    strange = replace(of_job, must_understand=["quorum"])
    yield _signed("job", sshsig.JOB, canonical(to_wire(Job(strange, digest(body)))))


def _reserved(name: str) -> dict[str, Any]:
    """A message of a reserved type with every field that it must have."""
    envelope = {
        "protocol": 1,
        "fleetId": FLEET,
        "nodeId": NODE,
        "incarnation": 1,
        "serial": 7,
        "issuedAt": "2026-03-01T00:00:00.000Z",
        "expiresIn": 60,
        "jobId": "01953e5c-0000-7000-8000-000000000000",
    }
    fields: dict[str, dict[str, Any]] = {
        "seals": {"seals": [{"path": "secrets/db", "fingerprint": "ab", "suite": "x25519", "sealed": "AAAA"}]},
        "keys": {"controllerKey": _CONTROLLER.text},
        "proof": {"commit": "0" * 40, "path": "documents/motd.yaml"},
    }
    value = fields[name] if name == "proof" else {"envelope": envelope, **fields[name]}
    assert to_wire(from_wire(RESERVED[name], value)) == value
    return value


def _say(message: Any) -> str:
    return "server " + frames.control(message)


def _signed(name: str, namespace: str, payload: bytes) -> str:
    return "server " + frames.signed_control(name, _CONTROLLER.sign(namespace, payload))


def _chunks(stream: int, data: bytes) -> Iterator[str]:
    """The bytes in two chunks."""
    half = len(data) // 2
    for seq, (kind, part) in enumerate(((frames.DATA, data[:half]), (frames.END, data[half:]))):
        yield "server-bytes " + base64.b64encode(frames.pack(frames.StreamFrame(stream, seq, kind, part))).decode()


def path_of(version: str) -> Path:
    return DIRECTORY / f"{version}.txt"


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    path_of(agent.__version__).write_text("\n".join(record()) + "\n")
