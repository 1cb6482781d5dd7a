"""One visit of the server's, over SSH: it started this program, and talks with it over standard input and output.

The server speaks first: who this machine should be, and a token for a machine that is no node yet. From the challenge
on the conversation is the same as on a WebSocket. What is kept is what any agent keeps; an ephemeral node keeps its
state in memory, and nothing of it is left when the visit is over, however it ended, short of SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from typing import Iterator, List, Tuple, Type, TypeVar

from agent import log
from agent.contract import frames, stdio
from agent.contract.closing import MALFORMED, OTHER_NODE, TRY_LATER
from agent.contract.codec import Malformed, Wire, from_wire
from agent.contract.token import decode_token
from agent.contract.wire import Enrolled, Join, Refusal
from agent.crypto import CryptoUnavailable
from agent.enrolment import EnrolmentFailed, asking, identity_of, pinned_ca
from agent.host.wakener import Wakener
from agent.link.carrier import Carrier, Lost
from agent.link.stdio import StdioCarrier
from agent.link.websocket import Closed, Event, Text, Violation
from agent.serve import once
from agent.state import identity, journal, lock
from agent.state.assignments import Assignments
from agent.state.journal import Reported
from agent.state.lock import StateInUse

IN_MEMORY = "/dev/shm"
PREFIX = "opsctl-visit-"
STALE = 3600.0
"""Seconds after which what a killed visit left in memory is taken away by the next one."""

_Message = TypeVar("_Message", bound=Wire)


class NotJoined(Exception):
    """This machine cannot be the node that the visit is for. `code` closes the conversation."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Visit:
    """The door of a link: one connection, open already."""

    def __init__(self, carrier: StdioCarrier) -> None:
        self._carrier = carrier

    def addresses(self) -> Iterator[str]:
        yield "the server, over SSH"

    def open(self, address: str, wakener: Wakener, timeout: float) -> Carrier:
        del address, timeout
        self._carrier.wakener = wakener
        return self._carrier


def visit(state: str, root: str, runs_scripts: bool, patience: float, ephemeral: bool) -> int:
    """Be visited, on the standard input and output of this process; the exit code, as that of `once`."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a step in progress outlives the connection
    incoming, outgoing = _taken()
    carrier = StdioCarrier(incoming, outgoing)
    try:
        join = _awaited(carrier, "join", Join, patience)
        if not ephemeral:
            _become(carrier, state, join, patience)
            return once(state, root, runs_scripts, patience, _Visit(carrier))
        with _memory() as state:
            _become(carrier, state, join, patience, ephemeral=True)
            return once(state, root, runs_scripts, patience, _Visit(carrier))
    except NotJoined as error:
        return _ended(carrier, error.code, str(error))
    except (Malformed, Violation) as error:
        return _ended(carrier, MALFORMED, str(error))
    except (Lost, EnrolmentFailed, StateInUse, identity.StateDamaged, CryptoUnavailable, OSError) as error:
        return _ended(carrier, TRY_LATER, str(error))
    finally:
        carrier.close()


def _taken() -> Tuple[int, int]:
    """Standard input and output, for the conversation alone: whatever else reads or prints does so elsewhere."""
    taken = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return taken


def _ended(carrier: StdioCarrier, code: int, reason: str) -> int:
    log.log(log.ERROR, "%s", reason)
    carrier.conversation.send_close(code, reason)
    return 1


def _become(carrier: StdioCarrier, state: str, join: Join, patience: float, *, ephemeral: bool = False) -> None:
    """See to it that the state directory holds the identity that the server expects. Raises NotJoined."""
    try:
        present = identity.load(state)
    except identity.NotEnrolled:
        _enrol(carrier, state, join, patience, ephemeral)
        return
    if present.node_id == join.node_id:
        return
    if join.node_id or not _is_over(state, present):
        is_, wanted = "%s (%s)" % (present.node_name, present.node_id), join.node_id or "a new node"
        raise NotJoined(OTHER_NODE, "%s holds the identity of %s, not of %s" % (state, is_, wanted))
    _forget(state)
    _enrol(carrier, state, join, patience, ephemeral)


def _enrol(carrier: StdioCarrier, state: str, join: Join, patience: float, ephemeral: bool) -> None:
    token = decode_token(join.token)
    ca_pem = pinned_ca(join.ca_pem, token.ca_digest)
    keys = identity.keys_made(state)
    carrier.conversation.send_text(stdio.control(asking(token, keys)))
    enrolled = _awaited(carrier, "enrolled", Enrolled, patience)
    identity.save(state, identity_of(enrolled, token, token.servers, ephemeral=ephemeral), ca_pem)
    log.log(log.NOTICE, "enrolled as %s (%s)", enrolled.node_name, enrolled.node_id)
    if ephemeral:
        told = {
            uid: Reported(item.generation, item.body_digest, item.context_digest, "", True)
            for uid, item in join.told.items()
        }
        journal.begin(state, join.last_seq, told)


def _awaited(carrier: StdioCarrier, name: str, kind: Type[_Message], patience: float) -> _Message:
    """The next control frame of this name; others that came before it are left for their reader."""
    until = time.monotonic() + patience
    others: List[Event] = []
    while time.monotonic() < until:
        events = carrier.exchange(until - time.monotonic())
        for at, event in enumerate(events):
            said, value = frames.read_control(event.text) if isinstance(event, Text) else ("", {})
            if said == name:
                carrier.put_back(others + events[at + 1 :])
                return from_wire(kind, value, name)
            if said == "refusal":
                refusal = from_wire(Refusal, value, said)
                raise NotJoined(OTHER_NODE, "not enrolled: %s" % refusal.message)
            if isinstance(event, Closed):
                raise Lost("the server hung up (%d%s)" % (event.code, event.reason and ": " + event.reason))
            others.append(event)
    raise Lost("the server said no %s within %.0f s" % (name, patience))


def _is_over(state: str, present: identity.Identity) -> bool:
    """Whether a retired node let go of everything here: its identity is worth nothing any more."""
    desired = Assignments(state, present).desired()
    return desired is not None and desired.retired and not desired.removing


def _forget(state: str) -> None:
    with contextlib.closing(journal.Journal(state)):  # nobody else is at work here
        for name in os.listdir(state):
            path = os.path.join(state, name)
            if name != "lock":
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


@contextlib.contextmanager
def _memory() -> Iterator[str]:
    """A state directory that is gone afterwards. In memory where there is a filesystem for that."""
    where = IN_MEMORY if os.access(IN_MEMORY, os.W_OK | os.X_OK) else tempfile.gettempdir()
    _tidy(where)
    made = tempfile.mkdtemp(prefix=PREFIX, dir=where)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _tidy(where: str) -> None:
    for name in os.listdir(where):
        path = os.path.join(where, name)
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            old = time.time() - found.st_mtime > STALE
            if name.startswith(PREFIX) and old and found.st_uid == os.getuid() and lock.holder(path) is None:
                shutil.rmtree(path, ignore_errors=True)
