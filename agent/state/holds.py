"""The hold that the server has put on this node: on disk, signed, never an older one than before.

held/hold.json  the newest hold as it came; it may have passed, or say that it is lifted
"""

from __future__ import annotations

import base64
import json
import os
import threading
from typing import Optional, Tuple

from agent import durable
from agent.contract import sshsig
from agent.contract.canonical import milliseconds
from agent.contract.codec import Malformed, from_wire, not_fields, to_wire
from agent.contract.leave import Hold, frozen
from agent.contract.wire import Signed
from agent.crypto import opened
from agent.log import ERROR, NOTICE, log
from agent.state.identity import Identity


class HoldRefused(Exception):
    """A hold that must not be taken; the one that there is stays."""


class Holds:
    """The hold of one state directory. Every method may be called from any thread."""

    def __init__(self, state: str, identity: Identity) -> None:
        self._identity, self._path = identity, hold_path(state)
        durable.make_directory(os.path.dirname(self._path))
        self._mutex = threading.Lock()
        self._hold: Optional[Hold] = None
        self._load()

    def take(self, signed: Signed) -> bool:
        """Obey a hold from now on; whether it is news. Raises HoldRefused, sshsig.BadSignature.

        A disk that takes no more keeps nobody from obeying it for as long as the agent runs.
        """
        hold = self._read(signed)
        with self._mutex:
            if self._hold is not None and _position(hold) <= _position(self._hold):
                return False
            self._hold = hold
        log(NOTICE, "the hold is lifted" if hold.lifted else frozen(hold.reason, hold.until))
        try:
            durable.replace(self._path, json.dumps(to_wire(signed), sort_keys=True).encode())
        except OSError as error:
            log(ERROR, "the hold cannot be kept on disk: %s", error)
        return True

    def in_force(self, now: int) -> Optional[Hold]:
        """The hold that keeps this node from changing anything at `now` (Unix milliseconds)."""
        hold = self._hold
        if hold is None or hold.lifted or (hold.until is not None and milliseconds(hold.until) <= now):
            return None
        return hold

    def _read(self, signed: Signed) -> Hold:
        try:
            hold = from_wire(Hold, json.loads(opened(signed, self._identity.controller(), sshsig.HOLD)), "hold")
            if hold.until is not None:
                milliseconds(hold.until)
        except sshsig.BadSignature:
            raise
        except (ValueError, RecursionError, Malformed) as error:
            raise HoldRefused("it is malformed: %s" % error) from error
        envelope = hold.envelope
        if (envelope.fleet_id, envelope.node_id) != (self._identity.fleet_id, self._identity.node_id):
            raise HoldRefused("it is for node %s of fleet %s" % (envelope.node_id, envelope.fleet_id))
        for what in not_fields(Hold, envelope.must_understand):
            raise HoldRefused("this agent does not understand %s" % what)
        return hold

    def _load(self) -> None:
        """What is on disk, verified as if it came just now."""
        try:
            data = durable.read(self._path)
            if data is not None:
                self._hold = self._read(from_wire(Signed, json.loads(data), self._path))
        except (ValueError, Malformed, sshsig.BadSignature, HoldRefused) as error:
            log(ERROR, "the hold on disk cannot be used: %s", error)


def hold_path(state: str) -> str:
    return os.path.join(state, "held", "hold.json")


def shown(state: str, now: int) -> str:
    """Why a state directory's node only monitors at `now`, to be shown and not acted on; empty where it may act."""
    try:
        signed = from_wire(Signed, json.loads(durable.read(hold_path(state)) or b"{}"))
        hold = from_wire(Hold, json.loads(base64.b64decode(signed.payload)))
        over = hold.lifted or (hold.until is not None and milliseconds(hold.until) <= now)
    except (OSError, ValueError, Malformed):
        return ""
    return "" if over else frozen(hold.reason, hold.until)


def _position(hold: Hold) -> Tuple[int, int]:
    return hold.envelope.incarnation, hold.envelope.serial
