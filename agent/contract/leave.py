"""Leave to act, beyond what a set says: a hold that keeps a node from changing anything, a permit for one run.

Frames: `hold` and `permit` carry `Signed` under `signed` (`opsctl-hold@v1`, `opsctl-job@v1`); `ask` and `postponed` are
plain. A run is named by association, generation and the instant of its schedule, which is empty for the one run that
every generation has.
"""

from __future__ import annotations

from dataclasses import field
from typing import List, Optional

from agent.contract.codec import Wire
from agent.contract.heads import Issued, Run
from agent.contract.record import dataclass


@dataclass(frozen=True)
class Envelope(Issued):
    """What every signed message to a node carries. `serial` numbers a hold; `expires_in` is seconds from receipt."""

    job_id: Optional[str] = None
    delivery_timeout: Optional[int] = None
    execution_timeout: Optional[int] = None
    attempt: int = 1
    cause: Optional[str] = None
    must_understand: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Hold(Wire):
    """Turns healing into monitoring until `until` passes on the node's clock, or a newer one is `lifted`.

    The agent refuses an older (incarnation, serial) than it has.
    """

    envelope: Envelope
    reason: str
    until: Optional[str] = None
    lifted: bool = False


@dataclass(frozen=True)
class Permit(Wire):
    """Lets a node begin one run, within `expires_in` of the envelope."""

    envelope: Envelope
    uid: str
    generation: int
    run_instant: str = ""


@dataclass(frozen=True)
class Ask(Run):
    """The agent asks for the permit that a run needs. Without an answer it does not run."""


@dataclass(frozen=True)
class Postponed(Run):
    """The server grants no permit yet, and why; `over` says that it will not: this run is not made on this node."""

    reason: str = ""
    over: bool = False


def frozen(reason: str, until: Optional[str]) -> str:
    """A hold as people read it, on both sides alike."""
    return "frozen until %s because %s" % (until or "it is lifted", reason)
