"""A controller with everything around it in memory: a remote, a store that may fail, a clock, nodes that are played.

Nothing moves by itself: `tick` lets time pass, and nodes do what they are told to. Leaving out `crash`, it all happens
on one thread, so that a story is the same every time it is told.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import instant
from agent.contract.leave import Ask
from agent.contract.token import decode_token
from agent.contract.wire import ClaimReport, Enrolment, Held, Hello, Pulse, Report
from reconciler.adapters.git import MemoryProposals, MemoryReportBranch, MemoryRepository, MemorySource
from reconciler.adapters.notify import MemoryNotifier
from reconciler.adapters.outputs import MemoryOutputs
from reconciler.adapters.renderer import MemoryRenderer
from reconciler.adapters.signer import KeySigner, verify
from reconciler.adapters.ssh import MemoryVisitor
from reconciler.adapters.store import MemoryStore
from reconciler.adapters.store.memory import MemoryState
from reconciler.adapters.timer import HandTimer
from reconciler.controller.assembly import LEASE_SECONDS, Controller, Identity, Ports
from reconciler.controller.loop import InlineLoop
from reconciler.controller.parameters import no_keys
from reconciler.controller.restart import declare_restored
from reconciler.core.access import Subject
from reconciler.core.node_ports import Orders
from reconciler.core.problem import Unavailable
from tests.engine.repository import DOCUMENT, FLEET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reconciler.core.ports import Unseal
    from reconciler.core.problem import Problem
    from reconciler.core.records import Changes
    from reconciler.core.world import World

FLEET_ID = "fl-0123456789abcdef0"
BORN = 1_700_000_000_000
ROOT = Subject("root@socket", everything=True)
MANUAL = FLEET + "spec: {sync: manual}\n"


class Crash(BaseException):
    """The process ends here."""


class Disk(MemoryStore):
    """The store, with a say in how commits end: `before` and `after` are called around each one and may raise."""

    before: Callable[[Changes], None] = staticmethod(lambda _: None)
    after: Callable[[Changes], None] = staticmethod(lambda _: None)
    reading: Callable[[], None] = staticmethod(lambda: None)

    def commit(self, changes: Changes) -> None:
        self.before(changes)
        super().commit(changes)
        self.after(changes)

    def nodes(self) -> list[Any]:
        self.reading()
        return super().nodes()


@dataclass
class Bus:
    """Tells nodes in the house that their set changed; `broken` is raised while it is set."""

    machines: dict[str, Machine]
    broken: Exception | None = None
    woken: list[str] = field(default_factory=list)

    def wake(self, node_ids: Iterable[str]) -> None:
        if self.broken:
            raise self.broken
        for node_id in node_ids:
            self.woken.append(node_id)


@dataclass
class Machine:
    """A node that is played. `given` is uid -> (generation, body digest); `fails` are uids that it cannot do.

    `answers` says whether it works off by itself what it is given.
    """

    house: House
    name: str
    key: str
    id: str = ""
    position: tuple[int, int] = (0, 0)
    given: dict[str, tuple[int, str]] = field(default_factory=dict)
    context: str = ""
    retired: bool = False
    fails: set[str] = field(default_factory=set)
    drifts: set[str] = field(default_factory=set)
    answers: bool = True
    online: bool = False
    seq: int = 0
    orders: Orders = field(default_factory=Orders)
    told: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    unsent: list[Report] = field(default_factory=list)
    written: list[Report] = field(default_factory=list)

    def connect(self, **hello: Any) -> Machine:
        said = Hello(
            node_id=self.id,
            protocol_min=1,
            protocol_max=1,
            agent_version="0.1.0",
            platform="linux",
            boot_id="boot",
            key_generation=1,
            steps={},
            features=["hold", "permit", "job", "session"],
            incarnation=self.position[0],
            serial=self.position[1],
            context_digest=self.context or None,
            digests={uid: body_digest for uid, (_, body_digest) in self.given.items()},
            **hello,
        )
        self.house.intake.connected(said)
        self.online = True
        self.take()
        return self

    def disconnect(self) -> None:
        self.online = False
        self.house.intake.disconnected(self.id)

    def take(self) -> None:
        """Hold what is desired, where that is newer, and hear what is ordered."""
        self.orders = self.house.intake.orders(self.id)
        desired = self.house.intake.desired(self.id)
        version = (desired.incarnation, desired.serial)
        if version <= self.position:
            return
        self.position, self.context, self.retired = version, desired.context_digest, desired.retire
        after = {uid: (one.generation, one.body_digest) for uid, one in desired.assignments.items()}
        gone = self.given.keys() - after.keys()
        self.given = after
        held = Held(*version, {uid: digest for uid, (_, digest) in after.items()})
        self.house.intake.held(self.id, held)
        for uid in sorted(gone):
            self.told.pop(uid, None)
            self.write(uid, generation=0, body_digest="", cause="Removed")

    def work(self) -> None:
        """Report on whatever is new, and send what waits."""
        for uid in sorted(self.given):
            version = (*self.given[uid], self.context, self.position[0], uid in self.fails, uid in self.drifts)
            if self.told.get(uid) != version:
                self.told[uid] = version
                self.write(uid)
        self.send()

    def write(self, uid: str, **said: Any) -> Report:
        """Make a report; it waits to be sent until the server has it."""
        self.seq += 1
        generation, body_digest = self.given.get(uid, (0, ""))
        outcome = "Failed" if uid in self.fails else "Drifted" if uid in self.drifts else "Unchanged"
        facts: dict[str, Any] = {
            "status": "Failed" if uid in self.fails else "Success",
            "claims": [ClaimReport("path:/etc/motd", "motd", outcome)],
            "cause": "Assigned",
            "generation": generation,
            "body_digest": body_digest,
            "incarnation": self.position[0],
            **said,
        }
        now = instant(self.house.timer.now_ms())
        report = Report(
            protocol=1,
            fleet_id=FLEET_ID,
            node_id=self.id,
            boot_id="boot",
            seq=self.seq,
            uid=uid,
            context_digest=self.context,
            agent_version="0.1.0",
            started_at=now,
            finished_at=now,
            **facts,
        )
        self.unsent.append(report)
        self.written.append(report)
        return report

    def send(self) -> None:
        """Send what waits, in order; what is not acknowledged stays."""
        while self.unsent:
            self.house.intake.reported(self.id, self.unsent[0])
            self.unsent.pop(0)

    def pulse(self) -> None:
        """Everything has just been looked at."""
        now = instant(self.house.timer.now_ms())
        self.house.intake.pulsed(self.id, Pulse(now, now))

    def ask(self, uid: str, run_instant: str = "", generation: int | None = None) -> None:
        """Ask for a permit, of the generation that it has where none is named."""
        asked = self.given[uid][0] if generation is None else generation
        self.house.intake.asked(self.id, Ask(uid, asked, run_instant))
        self.house.deliver()

    def permitted(self, uid: str, run_instant: str = "") -> bool:
        """Whether it may begin this run now."""
        return any((one.uid, one.run_instant) == (uid, run_instant) for one in self.orders.permits)

    def waits(self, uid: str) -> str:
        """Why it may not."""
        return next((one.reason for one in self.orders.postponed if one.uid == uid), "")

    def say(self, uid: str, **said: Any) -> Report:
        """Write one report and send it."""
        report = self.write(uid, **said)
        self.send()
        return report


class House:
    """Open for one story. `files` are the first commit of the tracked branch; None for an empty remote."""

    def __init__(self, files: Mapping[str, str] | None = None, *, start: bool = True, **identity: Any) -> None:
        self.remote = MemoryRepository()
        self.timer = HandTimer(BORN)
        self.disk_state = MemoryState()
        self.machines: dict[str, Machine] = {}
        self.bus = Bus(self.machines)
        self.identity = Identity(FLEET_ID, "ssh-ed25519 CONTROLLER", "sha256:ca", ("https://house:8443",), "this one")
        self.identity = replace(self.identity, **identity)
        self.visitor = MemoryVisitor()
        self.notifier, self.proposals = MemoryNotifier(), MemoryProposals(self.remote)
        self.source = MemorySource(self.remote)
        self.lost: list[Problem] = []
        self.seal = (KeySigner(), verify)
        self.unseal: Unseal = no_keys
        if files is not None:
            self.push(files)
        if start:
            self.start()

    # -- the process ---------------------------------------------------------------------------------------------

    def start(self, *, restored: bool = False) -> House:
        """A daemon on the state that is there."""
        self.disk = Disk(FLEET_ID, self.timer.now_ms(), self.disk_state)
        self.disk.renew_lease("this one", self.timer.now_ms(), LEASE_SECONDS, seize=True)
        if restored:
            declare_restored(self.disk, self.timer.now_ms())
        self.branch = MemoryReportBranch(self.remote)
        ports = Ports(
            store=self.disk,
            source=self.source,
            reports=self.branch,
            proposals=self.proposals,
            notifier=self.notifier,
            clock=self.timer,
            timer=self.timer,
            bus=self.bus,
            visitor=self.visitor,
            renderer=MemoryRenderer(),
            outputs=MemoryOutputs(),
            unseal=self.unseal,
            seal=self.seal,
        )
        self.controller = Controller(ports, self.identity, self.lost.append, InlineLoop, *(lambda work: work(),) * 2)
        self.intake, self.service = self.controller.intake, self.controller.service
        self.controller.start()
        self.tick(0.1)
        return self

    def crash(self) -> None:
        """The process is gone, as by a power cut; connections with it."""
        self.timer.close()
        for machine in self.machines.values():
            machine.online = False

    def restart(self, **options: Any) -> House:
        self.crash()
        return self.start(**options)

    def forget_mirror(self) -> None:
        """The copy of the repository is lost with the disk it was on."""
        self.source = MemorySource(self.remote)

    def tick(self, seconds: float = 1.0) -> None:
        """Let time pass; then woken nodes ask for their set."""
        self.timer.advance(seconds)
        self.deliver()

    def deliver(self) -> None:
        woken, self.bus.woken[:] = list(self.bus.woken), []
        by_id = {machine.id: machine for machine in self.machines.values()}
        for node_id in woken:
            machine = by_id.get(node_id)
            if machine is not None and machine.online:
                machine.take()

    def settle(self, seconds: int = 30) -> None:
        """Let everything that can happen, happen."""
        for _ in range(seconds):
            self.tick()
            for machine in list(self.machines.values()):
                if machine.online and machine.answers:
                    with suppress(Unavailable):  # an agent tries again
                        machine.work()

    # -- the repository ------------------------------------------------------------------------------------------

    def push(self, files: Mapping[str, str | None], **commit: Any) -> str:
        edits = {path: None if text is None else text.encode() for path, text in files.items()}
        return self.remote.commit("main", edits, at=self.timer.now_ms(), **commit)

    def pages(self) -> dict[str, str]:
        """The compliance branch's files."""
        tip = self.remote.branches.get("compliance")
        tree = self.remote.commits[tip].tree if tip else {}
        return {path: self.remote.blobs[entry.oid].decode() for path, entry in tree.items()}

    def page_log(self) -> list[str]:
        """Subjects of the compliance branch, newest first."""
        tip, found = self.remote.branches.get("compliance"), []
        while tip:
            commit = self.remote.commits[tip].commit
            found.append(commit.subject)
            tip = commit.parents[0] if commit.parents else None
        return found

    # -- nodes ---------------------------------------------------------------------------------------------------

    def token(self, node: str | None = None, labels: Mapping[str, str] | None = None, ttl: int = 3600) -> Any:
        return decode_token(self.service.create_token(ROOT, node, labels or {}, ttl)["token"])

    def enrolment(self, token: Any, name: str, key: str = "") -> Enrolment:
        return Enrolment(token.token_id, token.secret, key or f"ssh-ed25519 {name}", "seal", name, "linux", "0.1.0")

    def enrol(self, *names: str, labels: Mapping[str, str] | None = None) -> list[Machine]:
        """Machines with an identity, not connected."""
        found = []
        for name in names:
            request = self.enrolment(self.token(name, labels), name)
            enrolled = self.intake.enrol(request, "10.0.0.1")
            machine = Machine(self, name, request.sign_key, enrolled.node_id, (enrolled.incarnation, 0))
            self.machines[name] = machine
            found.append(machine)
        return found

    def join(self, *names: str, labels: Mapping[str, str] | None = None) -> list[Machine]:
        """Enrolled and connected, and told what they should hold."""
        found = self.enrol(*names, labels=labels)
        for machine in found:
            machine.connect()
        self.tick()
        return found

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    # -- what is seen --------------------------------------------------------------------------------------------

    @property
    def state(self) -> Any:
        return self.controller._state

    @property
    def world(self) -> World:
        world: World = self.state.world
        return world

    def given(self, uid: str) -> set[str]:
        """Names of the nodes that have the newest released body."""
        release = self.world.releases.get(uid)
        return set(self.world.nodes.names(self.world.of(uid).on(release.body_digest))) if release else set()

    def in_flight(self, uid: str) -> set[str]:
        """Names of those that were given it and have not said what came of it."""
        columns = self.world.of(uid)
        return self.given(uid) - set(self.world.nodes.names(columns.reported))

    def apply(self, rev: str | None = None, saved: Any = None, removals: int = 0, by: Subject = ROOT) -> dict[str, Any]:
        started = self.service.apply(by, rev, saved, removals)
        self.deliver()
        return started

    def status(self) -> dict[str, Any]:
        return self.service.status(ROOT)

    def audit(self, verb: str) -> list[tuple[str, str, str]]:
        """(subject, object, outcome), newest first."""
        rows = self.disk.audit(limit=1000)
        return [(row.subject, row.object, row.outcome) for row in rows if row.verb == verb]


def small(*nodes: str, fleet: str = FLEET, **more: str) -> dict[str, str]:
    """A repository with one association on everything, and these nodes declared."""
    from tests.engine.repository import association, node

    return {
        "fleet.yaml": fleet,
        "documents/motd.yaml": DOCUMENT,
        "associations/base.yaml": association("base", maxConcurrency='"100%"', maxErrors='"100%"'),
        **{f"nodes/{name}.yaml": node(name) for name in nodes},
        **more,
    }


def seen(world: World) -> dict[str, Any]:
    """World without what only one process knows: bits, sequence, who is connected, what the next plan will fill in."""
    nodes = world.nodes

    def ids(chosen: int) -> frozenset[str]:
        return frozenset(nodes.ids(chosen))

    return {
        "fleet": (world.fleet_id, world.incarnation, world.revision, world.access_revision, world.generations_from),
        "nodes": {
            entry.id: (entry.lasting_name, dict(entry.token_labels), entry.context_digest)
            for entry in nodes.entries
            if entry is not None
        },
        "unsettled": ids(world.unsettled),
        "columns": {
            uid: (
                {body_digest: ids(given) for body_digest, given in columns.given.items()},
                *(ids(one) for one in (columns.held, columns.reported, columns.converged, columns.failed)),
                ids(columns.drifted),
            )
            for uid, columns in world.columns.items()
        },
        "releases": dict(world.releases),
    }
