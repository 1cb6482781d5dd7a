"""Messages whose form is fixed and that no agent of this version acts on: it answers `Unsupported`.

They stand here so that a later version finds its place on the wire taken by nobody else.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, List, Optional

from agent.contract.codec import Wire
from agent.contract.leave import Envelope
from agent.contract.record import dataclass


@dataclass(frozen=True)
class Seal(Wire):
    """A secret encrypted to the node's X25519 key, with the suite that did it."""

    path: str
    fingerprint: str
    suite: str
    sealed: str


@dataclass(frozen=True)
class Seals(Wire):
    """The seals that a node's assignments name (`opsctl-assignments@v1`)."""

    envelope: Envelope
    seals: List[Seal] = field(default_factory=list)


@dataclass(frozen=True)
class KeyRotation(Wire):
    """The node's next keys, signed by the present one, or the fleet's next CA and controller key (`opsctl-keys@v1`)."""

    envelope: Envelope
    sign_key: Optional[str] = None
    seal_key: Optional[str] = None
    controller_key: Optional[str] = None
    ca_certificate: Optional[str] = None


@dataclass(frozen=True)
class Proof(Wire):
    """That document and parameters stand in a reviewed commit."""

    commit: str
    path: str
    signatures: List[Dict[str, Any]] = field(default_factory=list)


RESERVED = {
    "seals": Seals,
    "keys": KeyRotation,
    "proof": Proof,
}
"""Type names of control frames that are answered with `Unsupported`."""
