"""The ports between the controller and its nodes: what those say and are told, and the way to those that do not come.

As in `ports`, each has a real adapter and one in memory, and adapters wrap every foreign exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.contract.inventory import Inventoried, Inventory
    from agent.contract.job import Accepted, Compile, Compiled, Job, Output, Revocation, Revoked
    from agent.contract.leave import Ask, Hold, Permit, Postponed
    from agent.contract.wire import AssignmentSet, Enrolled, Enrolment, Held, Hello, Join, Pulse, Report


@dataclass(frozen=True, slots=True)
class Orders:
    """What a node is to know besides its set: the newest hold, where one may still count, and answers to its asks.

    `jobs` are those that it is to take, `revocations` end those that it may have taken.
    """

    hold: Hold | None = None
    permits: tuple[Permit, ...] = ()
    postponed: tuple[Postponed, ...] = ()
    jobs: tuple[Job, ...] = ()
    revocations: tuple[Revocation, ...] = ()


class Intake(Protocol):
    """What the gateway asks of the controller and hands in to it. Called from any thread; blocking.

    The gateway has verified signatures before it calls; what it hands in is the node's own word.
    """

    def node_key(self, node_id: str) -> str | None:
        """The node's Ed25519 public key (OpenSSH text); None for a node that is unknown, or retired long ago."""

    def enrol(self, request: Enrolment, peer: str) -> Enrolled:
        """Use a join token. `Refused` for one that is unknown, used by another key, or expired."""

    def connected(self, hello: Hello) -> None:
        """An authenticated node is here, with what it holds."""

    def disconnected(self, node_id: str) -> None: ...

    def desired(self, node_id: str) -> AssignmentSet:
        """What the node should hold now."""

    def held(self, node_id: str, held: Held) -> None:
        """The node has this set, whole and on disk."""

    def reported(self, node_id: str, report: Report) -> None:
        """Returns once the report is durable; only then may it be acknowledged."""

    def pulsed(self, node_id: str, pulse: Pulse) -> None: ...

    def asked(self, node_id: str, ask: Ask) -> None:
        """The node asks for a permit. The answer stands in its orders, and the node is woken when there is one."""

    def accepted(self, node_id: str, accepted: Accepted) -> None:
        """The node has the job on its disk. Nobody waits until that is kept: its report says it again."""

    def revoked(self, node_id: str, revoked: Revoked) -> None:
        """The job never begins on the node."""

    def output(self, node_id: str, output: Output, offset: int, data: bytes) -> tuple[int, bool]:
        """What a step of a job says from `offset` on; how much is stored now, and whether no more is taken.

        `Refused` for a job that is not the node's.
        """

    def inventoried(self, node_id: str, said: Inventory) -> Inventoried:
        """What the node collected about itself; whether its content is lacking. `Refused` for what is not taken."""

    def compiled(self, node_id: str, question: Compile) -> Compiled:
        """The steps of a document that a job of the node found there. `Refused` for a job that has no such step."""

    def orders(self, node_id: str) -> Orders:
        """What the node is to know now."""

    def content(self, node_id: str, digest: str) -> bytes | None:
        """A body, context or file that the node's own assignments name; None for anything else."""


class Stream(Protocol):
    """Bytes to and from a program that was started elsewhere. One thread reads while another writes."""

    def read(self, size: int) -> bytes:
        """What came, at most `size` bytes, empty at the end. Raises OSError, also where nothing comes for too long."""

    def write(self, data: bytes) -> None:
        """All of it. Raises OSError."""

    def close(self) -> None:
        """End both directions; whoever waits is told. May be called from any thread, more than once."""


@dataclass(frozen=True, slots=True)
class SshHost:
    """How a node is reached over SSH, as its Node file says. `node` is its name.

    `host_keys` are public keys as `ssh-ed25519 AAAA...`; where there are none, the server's known hosts are asked.
    `identity` names one of the server's own keys. `sudo`: the agent is run as root by sudo. `python` runs it.
    """

    node: str
    host: str
    port: int = 22
    user: str = "root"
    host_keys: tuple[str, ...] = ()
    identity: str = "default"
    sudo: bool = False
    python: str = "python3"
    ephemeral: bool = False


class Guest(Protocol):
    """What the controller has to say to the machine that a visit finds. Called from any thread; blocking."""

    def join(self) -> Join:
        """Who the machine should be; `ca_pem` is left to the gateway."""

    def enrol(self, request: Enrolment, peer: str) -> Enrolled:
        """Make the machine a node. `Refused` for a token that is not this visit's, or a name that is taken."""


class Visitor(Protocol):
    """Goes to nodes that do not come by themselves. Called from several threads."""

    def visit(self, host: SshHost, guest: Guest) -> str:
        """Run the agent there once and stay until it is done; the node's id.

        Raises `Unavailable` with what stood in the way, `Refused` where trying again will not help.
        """

    def close(self) -> None:
        """End every visit."""
