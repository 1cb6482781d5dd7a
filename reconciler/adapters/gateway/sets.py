"""Assignment sets as signed frames; one (node, incarnation, serial) is signed once while it is recent."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from agent.contract import frames, sshsig
from agent.contract.canonical import canonical
from agent.contract.codec import to_wire

if TYPE_CHECKING:
    from reconciler.core.node_ports import Intake
    from reconciler.core.ports import Signer

KEPT = 2048


class Version(NamedTuple):
    """Which of two sets of one node is newer."""

    incarnation: int
    serial: int


class SignedSet(NamedTuple):
    version: Version
    frame: str


class SignedSets:
    """What each node should hold, signed by the controller key. Blocking; called from several threads."""

    def __init__(self, intake: Intake, signer: Signer) -> None:
        self._intake = intake
        self._signer = signer
        self._lock = threading.Lock()
        self._recent: OrderedDict[str, SignedSet] = OrderedDict()

    def desired(self, node_id: str, held: Version) -> SignedSet | Version:
        """The node's set where it is newer than `held`; else only its version."""
        desired = self._intake.desired(node_id)
        version = Version(desired.incarnation, desired.serial)
        if version <= held:
            return version
        with self._lock:
            recent = self._recent.get(node_id)
            if recent and recent.version == version:
                self._recent.move_to_end(node_id)
                return recent
        signed = self._signer.sign(canonical(to_wire(desired)), sshsig.ASSIGNMENTS)
        made = SignedSet(version, frames.signed_control("assignments", signed))
        with self._lock:
            self._recent[node_id] = made
            self._recent.move_to_end(node_id)
            if len(self._recent) > KEPT:
                self._recent.popitem(last=False)
        return made
