"""One connection's conversation with the server, without sockets: frames in, frames out.

    server: challenge            agent: hello (signed)        server: welcome (signed: the same transcript)
    server: assignments (signed) agent: fetch ...             server: stream, chunks ...
    agent: held                  agent: report (signed) ...   server: ack ...
    server: hold (signed)        agent: ask ...               server: permit (signed), or postponed
    server: job (signed)         agent: accepted, fetch ...   server: revocation (signed)
    agent: output                server: stored               agent: chunks ...
    agent: inventory             server: inventoried          agent: inventory, with its content

Nothing is obeyed before the server has proven to hold the controller key that this node pinned, and no assignment
set, hold or permit without that key's signature of its own.
"""

from __future__ import annotations

import base64
import json
import os
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Tuple, Union

from agent.contract import frames, sshsig
from agent.contract.canonical import NotCanonical, canonical, digest_of, instant
from agent.contract.closing import OTHER_PROTOCOL, UNAUTHENTICATED
from agent.contract.codec import Malformed, Wire, from_wire, not_fields, to_wire
from agent.contract.inventory import Inventoried
from agent.contract.job import Stored
from agent.contract.leave import Ask, Permit, Postponed
from agent.contract.session import FIRST_STREAM
from agent.contract.wire import (
    PROTOCOL,
    Ack,
    AssignmentSet,
    Challenge,
    Held,
    Hello,
    Missing,
    Pulse,
    Signed,
    Stream,
    Transcript,
    Unsupported,
)
from agent.crypto import opened
from agent.link.due import expected, is_reserved
from agent.link.inventory import InventoryTalk
from agent.link.jobs import FRAMES as JOB_FRAMES
from agent.link.jobs import JobTalk, RefusedJob
from agent.link.sessions import is_ended, take_ticket
from agent.link.transfer import Misdelivery, Transfers
from agent.link.websocket import PROTOCOL_ERROR
from agent.log import ERROR, NOTICE, WARNING, log
from agent.state.assignments import NotUnderstood, SetRefused
from agent.state.holds import HoldRefused
from agent.state.node import Node
from agent.streams.desk import Desk

REPORTS_IN_FLIGHT = 16
REFUSALS = 50
"""Frames refused on one connection before it is given up: whoever sends them will not stop."""
ASK_AGAIN = 300.0
"""Seconds after which a permit that nothing was heard of is asked for again on the same connection."""
RETRY_MISSING = 30.0
"""Seconds after which bytes that the server did not have are asked for again."""


class Parted(Exception):
    """The conversation must end. `refused` says that trying again soon will not help."""

    def __init__(self, code: int, reason: str, refused: bool = False) -> None:
        super().__init__(reason)
        self.code, self.refused = code, refused


class Session:
    """The agent's side of one connection. Frames to send gather in `outgoing`."""

    def __init__(
        self,
        node: Node,
        fingerprint: str,
        hello: Callable[[], Hello],
        on_assigned: Callable[[], None],
        desk: Optional[Desk] = None,
    ) -> None:
        """`fingerprint` is the digest of the DER certificate that this connection's TLS presented."""
        self._node, self._fingerprint, self._desk = node, fingerprint, desk
        self._hello, self._on_assigned = hello, on_assigned
        self.outgoing: Deque[Union[str, bytes]] = deque()
        self.open = False
        self._transcript: Optional[bytes] = None
        self._transfers = Transfers(node.assignments.objects, self.outgoing.append)
        self._offer: Optional[Tuple[Signed, AssignmentSet]] = None
        self._retry_at: Optional[float] = None
        self._refusals = 0
        self._last_sent = 0
        self._asked: Dict[Ask, float] = {}
        self._jobs = JobTalk(node, self._transfers, self.outgoing.append)
        self._inventory = InventoryTalk(node.inventory, self.outgoing.append)
        self.spoken_at = 0.0
        self.set_came = False

    def text(self, text: str) -> None:
        """Take a text frame. Raises Parted."""
        try:
            name, value = frames.read_control(text)
            if self.open:
                self._take(name, value)
            elif self._transcript is None:
                self._challenged(expected(name, "challenge", frames.plain, name, value))
            else:
                self._welcomed(expected(name, "welcome", frames.signed_of, value))
        except (Malformed, Misdelivery, NotCanonical) as error:
            raise Parted(PROTOCOL_ERROR, str(error)) from error

    def binary(self, data: bytes) -> None:
        """Take a binary frame. Raises Parted."""
        try:
            if not self.open:
                raise Malformed("a binary frame before the welcome")
            frame = frames.unpack(data)
            if self._desk is not None and frame.stream >= FIRST_STREAM:
                self._desk.chunk(frame)
                return
            self._transfers.chunk(frame)
            self._advance()
            self._advance_jobs()
        except (Malformed, Misdelivery) as error:
            raise Parted(PROTOCOL_ERROR, str(error)) from error

    def tick(self) -> None:
        """Send reports that wait, and ask again for what was missing."""
        if not self.open:
            return
        self._send_reports()
        self._send_asks()
        self._jobs.send()
        self._inventory.send()
        self._advance_jobs()
        if self._retry_at is not None and self._node.clock.elapsed() >= self._retry_at:
            self._retry_at = None
            self._transfers.missing.clear()
            self._advance()

    def pulse(self, checked_at: Optional[int]) -> None:
        """Say that the runner is alive; `checked_at` is the Unix milliseconds since which everything was looked at."""
        if self.open:
            self._say(
                Pulse(
                    at=instant(self._node.clock.now()),
                    checked_at=None if checked_at is None else instant(checked_at),
                    monotonic=int(self._node.clock.elapsed() * 1000),
                    pending=self._node.journal.pending_count(),
                )
            )

    @property
    def settled(self) -> bool:
        """Whether nothing that was offered is still being fetched."""
        return self._offer is None

    @property
    def tells_inventory(self) -> bool:
        """Whether the server has not said of all inventory yet that it has it."""
        return self.open and self._inventory.waits()

    def patience(self) -> float:
        """Seconds until there may be more to send though nobody said so: what jobs say grows by itself."""
        return self._jobs.patience() if self.open else float("inf")

    def complete(self) -> None:
        """Fetch what of the held set is not on disk (any more)."""
        current = self._node.assignments.current_set()
        if self.open and self._offer is None and current and self._node.assignments.lacking(current[1]):
            self._offer = current
            self._advance()

    def next_said(self) -> Optional[Union[str, bytes]]:
        """What sessions have to say next, once everything else is said."""
        return self._desk.next_said() if self._desk is not None and self.open else None

    def ended(self) -> None:
        """The connection is over."""
        self._transfers.abort()
        if self._desk is not None:
            self._desk.parted()

    # The handshake

    def _challenged(self, challenge: Wire) -> None:
        assert isinstance(challenge, Challenge)
        identity = self._node.identity
        if challenge.fleet_id != identity.fleet_id:
            raise Parted(
                UNAUTHENTICATED,
                "the server is of fleet %.40s, this node of %s" % (challenge.fleet_id, identity.fleet_id),
                refused=True,
            )
        if not challenge.protocol_min <= PROTOCOL <= challenge.protocol_max:
            raise Parted(
                OTHER_PROTOCOL,
                "the server speaks protocol %d to %d, this agent %d"
                % (challenge.protocol_min, challenge.protocol_max, PROTOCOL),
                refused=True,
            )
        hello = self._hello()
        value = to_wire(hello)
        nonce = base64.b64encode(os.urandom(32)).decode()
        transcript = Transcript(
            fleet_id=identity.fleet_id,
            server_fingerprint=self._fingerprint,
            node_id=identity.node_id,
            server_nonce=challenge.nonce,
            agent_nonce=nonce,
            protocol=PROTOCOL,
            hello_digest=digest_of(value),
        )
        self._transcript = canonical(to_wire(transcript))
        signed = self._node.signer.sign(sshsig.HELLO, self._transcript)
        self.outgoing.append(frames.signed_control("hello", signed, hello=value, nonce=nonce))

    def _welcomed(self, signed: Signed) -> None:
        try:
            payload = opened(signed, self._node.identity.controller(), sshsig.HELLO)
        except sshsig.BadSignature as error:
            raise Parted(
                UNAUTHENTICATED, "the server does not hold the controller key that this node pinned: %s" % error, True
            ) from error
        if payload != self._transcript:
            raise Parted(UNAUTHENTICATED, "the server signed another connection's hello", refused=True)
        self.open = True
        self.spoken_at = self._node.clock.elapsed()
        self._node.contact.heard()
        self.complete()
        self._send_reports()
        self._advance_jobs()

    # Once it is open

    def _take(self, name: str, value: Dict[str, Any]) -> None:
        self.spoken_at = self._node.clock.elapsed()
        if name == "assignments":
            self._offered(frames.signed_of(value))
            self.set_came = True  # last: whoever waits for it then asks whether it is settled
        elif name in ("hold", "permit"):
            self._ordered(name, frames.signed_of(value))
        elif name == "ticket" and self._desk is not None:
            take_ticket(self._desk, value)
        elif name in JOB_FRAMES:
            self._asked_for(name, frames.signed_of(value))
        elif name in frames.CONTROL:
            self._plain(frames.plain(name, value))
        elif is_reserved(name):
            self._say(Unsupported(name))

    def _plain(self, message: Wire) -> None:
        if isinstance(message, Ack):
            self._node.journal.acknowledged(message.seq)
            self._node.contact.heard()
            self._send_reports()
        elif isinstance(message, Stream):
            self._transfers.announced(message)
        elif isinstance(message, Missing):
            self._transfers.absent(message)
            log(WARNING, "the server does not have %s", message.digest)
            self._advance()
            self._advance_jobs()
        elif isinstance(message, Stored):
            self._jobs.stored(message)
        elif isinstance(message, Inventoried):
            self._inventory.answered(message)
        elif isinstance(message, Postponed):
            self._node.leave.permits.postponed(message)
            self._on_assigned()
        elif isinstance(message, Unsupported):
            log(WARNING, "the server does not support %s", message.what)
        elif self._desk is not None:
            self._desk.control(message)

    def _ordered(self, name: str, signed: Signed) -> None:
        """A hold or a permit. What cannot be taken changes nothing: without a permit nothing is run."""
        try:
            if name == "hold":
                self._node.leave.holds.take(signed)
            else:
                self._permitted(signed)
        except (HoldRefused, Malformed, ValueError, RecursionError, sshsig.BadSignature) as error:
            log(ERROR, "a %s is refused: %s", name, error)
            self._refused(error)
        else:
            self._node.contact.heard()
            self._on_assigned()

    def _asked_for(self, name: str, signed: Signed) -> None:
        try:
            if name == "revocation" and self._desk is not None and is_ended(self._desk, signed, self._node):
                return
            self._jobs.take(name, signed)
        except RefusedJob as error:
            log(ERROR, "%s", error)
            self._refused(error)
        self._advance_jobs()

    def _advance_jobs(self) -> None:
        """Fetch what open jobs lack, once nothing else is on its way."""
        if self._offer is None and self._transfers.idle:
            self._jobs.fetch()

    def _permitted(self, signed: Signed) -> None:
        identity = self._node.identity
        permit = from_wire(Permit, json.loads(opened(signed, identity.controller(), sshsig.JOB)), "permit")
        if (permit.envelope.fleet_id, permit.envelope.node_id) != (identity.fleet_id, identity.node_id):
            raise ValueError("it is for node %s of fleet %s" % (permit.envelope.node_id, permit.envelope.fleet_id))
        if not_fields(Permit, permit.envelope.must_understand):
            raise ValueError("this agent does not understand all of it")
        self._node.leave.permits.granted(permit, self._node.clock.elapsed())

    def _refused(self, error: Exception) -> None:
        """Count it: whoever goes on sending what is refused will not stop."""
        self._refusals += 1
        if self._refusals > REFUSALS:
            raise Parted(PROTOCOL_ERROR, "%d frames were refused" % self._refusals, refused=True) from error

    def _offered(self, signed: Signed) -> None:
        assignments = self._node.assignments
        try:
            offered = assignments.check(opened(signed, self._node.identity.controller(), sshsig.ASSIGNMENTS))
        except NotUnderstood as error:
            log(ERROR, "an assignment set is not taken: %s", error)
            self._say(Unsupported(error.what, "assignments"))
        except (SetRefused, sshsig.BadSignature) as error:
            log(ERROR, "an assignment set is refused: %s", error)
            self._refused(error)
            self._say_held()
        else:
            self._node.contact.heard()
            self._offer = (signed, offered)
            self._transfers.missing.clear()
            self._retry_at = None
            if not self._transfers.idle:
                self._transfers.want([])  # what the older set wanted and is not on its way is wanted no more
            self._advance()

    def _advance(self) -> None:
        """Fetch what the offered set still lacks, or hold it."""
        if self._offer is None or not self._transfers.idle or self._retry_at is not None:
            return
        signed, offered = self._offer
        if self._transfers.missing:
            self._retry_at = self._node.clock.elapsed() + RETRY_MISSING
            return
        lacking = self._node.assignments.lacking(offered)
        if lacking:
            self._transfers.want(lacking)
            return
        try:
            self._node.assignments.commit(signed, offered)
        except OSError as error:  # the conversation goes on: there are reports to send
            log(ERROR, "assignments cannot be held yet: %s", error)
            self._retry_at = self._node.clock.elapsed() + RETRY_MISSING
            return
        self._offer = None
        log(NOTICE, "assignments %s held", self._node.assignments.position())
        self._say_held()
        self._on_assigned()

    def _send_reports(self) -> None:
        """Reports in order, a few unacknowledged at a time."""
        journal = self._node.journal
        ours = b'"nodeId":%s' % json.dumps(self._node.identity.node_id).encode()
        for item in journal.pending(most=REPORTS_IN_FLIGHT):
            payload = journal.payload(item.seq) if item.seq > self._last_sent else None
            if payload is None:
                continue
            self._last_sent = item.seq
            if ours not in payload:
                log(ERROR, "report %d is of another identity and is not sent", item.seq)
                continue
            signed = self._node.signer.sign(sshsig.REPORT, payload)
            self.outgoing.append(frames.signed_control("report", signed))

    def _send_asks(self) -> None:
        """Permits that runs wait for, each asked for once, and again after a while."""
        now = self._node.clock.elapsed()
        wanted = self._node.leave.permits.wanted()
        self._asked = {ask: at for ask, at in self._asked.items() if ask in wanted and now - at < ASK_AGAIN}
        for ask in wanted:
            if ask not in self._asked:
                self._asked[ask] = now
                self._say(ask)

    def _say_held(self) -> None:
        position = self._node.assignments.position()
        self._say(Held(position.incarnation, position.serial, self._node.assignments.held_digests()[1]))

    def _say(self, message: Wire) -> None:
        self.outgoing.append(frames.control(message))
