"""Sessions: a shell or a connection on a node, and a person's program, with a gateway between that only passes on.

Client and node hold what the other has not acknowledged, so either leg may break: whoever comes back says how much it
has, and the other goes on from there. At most `WINDOW` bytes are unacknowledged in each direction; so no stream can
fill the connection that all of a node's share. `flow` counts, the same on both sides.

    client: ticket (signed: checked by server and agent)    agent: opened
    both: chunks (END: no more in this direction), taken     client: resized, signalled, left
    agent: ended
"""

from __future__ import annotations

from dataclasses import field
from typing import Dict, List, Optional

from agent.contract.codec import Wire
from agent.contract.leave import Envelope
from agent.contract.record import dataclass

FEATURE = "session"
"""What an agent that opens sessions says in its Hello."""
WINDOW = 1024 * 1024
TELL_EVERY = WINDOW // 4
FIRST_STREAM = 1 << 31
"""Streams of sessions have numbers from here on; the gateway draws them, for each connection anew."""
SHELL, PORT = "shell", "port"
TICKET_PREFIX = "s-"
"""What a ticket's id begins with: so a revocation tells whether it ends a session or a job."""


@dataclass(frozen=True)
class Ticket(Wire):
    """Opens a session (`opsctl-ticket@v1`): what, for whom, and within which limits.

    `limits`, in seconds: `idle` without input, `duration` in all, `grace` while nobody is there. `run_as` is the
    account of a shell, the agent's own where empty; `profile` is what the shell is given to run first; `commands` are
    run in place of a login shell. A port is `port` of `host`, this node where it is empty, or the socket at `path`.
    """

    envelope: Envelope
    ticket_id: str
    subject: str
    limits: Dict[str, int] = field(default_factory=dict)
    sort: str = SHELL
    run_as: str = ""
    profile: str = ""
    commands: List[str] = field(default_factory=list)
    host: str = ""
    port: int = 0
    path: str = ""


@dataclass(frozen=True)
class Opening(Wire):
    """Goes with a ticket, beside it: which channel of the session is meant, and what the client has of it already.

    `again`: the channel was open before; a node that does not know it any more must not open another.
    """

    stream: int
    channel: int = 0
    received: int = 0
    again: bool = False
    rows: int = 24
    columns: int = 80
    term: str = "xterm"


@dataclass(frozen=True)
class Opened(Wire):
    """The channel is there; the node has so many bytes from the client."""

    stream: int
    received: int = 0


@dataclass(frozen=True)
class Taken(Wire):
    """All bytes up to this offset were passed on; the sender may forget them."""

    stream: int
    offset: int


@dataclass(frozen=True)
class Resized(Wire):
    """The client's terminal has another size."""

    stream: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Signalled(Wire):
    """The client asks for a signal (`INT`, `TERM`, `HUP`, `QUIT`) to what runs in the foreground."""

    stream: int
    name: str


@dataclass(frozen=True)
class Left(Wire):
    """Nobody is at the other end: for good, or until it comes again."""

    stream: int
    for_good: bool = False


@dataclass(frozen=True)
class Ended(Wire):
    """The channel is over: the exit code of what ran, None where it was ended or never began."""

    stream: int
    code: Optional[int] = None
    reason: str = ""
