"""A node's link running in a thread of the test, without the rounds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from agent.clock import SystemClock
from agent.contract.wire import Hello
from agent.link.link import Link, Pace
from agent.state import identity, status
from agent.state.assignments import Assignments
from agent.state.contact import Contact
from agent.state.inventory import Inventories
from agent.state.jobs import Jobs
from agent.state.journal import Journal
from agent.state.leave import Leave
from agent.state.node import Node
from agent.state.questions import Questions
from agent.state.status import StatusFile

if TYPE_CHECKING:
    from typing import Self

HASTY = Pace(first=0.02, last=0.1, refused=0.1, ping=20.0, dead=20.0, handshake=5.0)
PATIENCE = 20.0


class Linked:
    """The link of an enrolled state directory."""

    def __init__(self, state: str, pace: Pace = HASTY, clock: Any = None) -> None:
        self.state = state
        found = identity.load(state)
        self.clock = clock or SystemClock()
        self.journal = Journal(state)
        self.assignments = Assignments(state, found)
        self.contact = Contact(state, self.clock, "boot-1")
        signer = identity.load_keys(state).signer()
        leave = Leave(state, found, self.contact, self.clock)
        jobs = Jobs(state, found, self.clock.elapsed)
        self.assignments.also = jobs.bodies
        self.node = Node(
            found,
            signer,
            self.assignments,
            self.journal,
            self.contact,
            self.clock,
            leave,
            jobs,
            Inventories(state),
            Questions(found, jobs.place),
        )
        self.assigned = 0
        self.pauses: list[tuple[float, float]] = []
        self.link = Link(
            self.node,
            identity.load_ca(state),
            self.hello,
            self._on_assigned,
            StatusFile(state, "link.json"),
            pace,
            self._draw,
        )
        self._thread = threading.Thread(target=self.link.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.link.stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self.link.close()
        self.journal.close()

    def ended(self) -> bool:
        """Whether the link has come to its end by itself."""
        self._thread.join(PATIENCE)
        return not self._thread.is_alive()

    @property
    def status(self) -> dict[str, Any]:
        return status.read(self.state, "link.json")

    def wait(self, condition: Any, what: str = "the condition") -> None:
        """Until something about the link holds."""
        with self.link.moved:
            assert self.link.moved.wait_for(condition, PATIENCE), f"{what} did not come about: {self.status}"

    def hello(self) -> Hello:
        context_digest, digests = self.assignments.held_digests()
        position = self.assignments.position()
        return Hello(
            node_id=self.node.identity.node_id,
            protocol_min=1,
            protocol_max=1,
            agent_version="0.1.0",
            platform="Linux",
            boot_id="boot-1",
            key_generation=1,
            steps={"ops:file": 1},
            features=[],
            incarnation=position.incarnation,
            serial=position.serial,
            context_digest=context_digest,
            digests=digests,
        )

    def _on_assigned(self) -> None:
        self.assigned += 1

    def _draw(self, low: float, high: float) -> float:
        self.pauses.append((low, high))
        return high
