"""Heads: what several messages begin with. No message itself."""

from __future__ import annotations

from agent.contract.codec import Wire
from agent.contract.record import dataclass


@dataclass(frozen=True)
class Issued(Wire):
    """Whom something signed is for, and from when until when: `expires_in` is seconds from receipt."""

    protocol: int
    fleet_id: str
    node_id: str
    incarnation: int
    serial: int
    issued_at: str
    expires_in: int


@dataclass(frozen=True)
class Run(Wire):
    """One run of an association on one node."""

    uid: str
    generation: int
    run_instant: str = ""
