"""Sessions on nodes: who may open one, the ticket for it, what is open, and its end where it may no longer be.

A ticket is the whole of what is granted; its holder comes back with it after any break, to this server or the next.
What is remembered here is only what is open: a server that was restarted knows a session again once its client is back.
Each second it is asked anew whether the subject still may.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agent.contract import sshsig
from agent.contract.canonical import canonical, instant, milliseconds
from agent.contract.codec import Malformed, from_wire, to_wire
from agent.contract.job import Revocation
from agent.contract.leave import Envelope
from agent.contract.session import FEATURE, PORT, SHELL, TICKET_PREFIX, Ticket
from agent.contract.wire import PROTOCOL, Signed
from reconciler.core.problem import Problem, Refused, Unavailable, nearest
from reconciler.core.records import AuditRow, Changes
from reconciler.documents.session import SessionDocument, SessionInputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.controller.permissions import Permissions
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.nodes import NodeEntry
    from reconciler.core.ports import Clock, Signer, Store, Verify

PREFERENCES = "SSM-SessionManagerRunShell"
"""The document with the preferences of sessions; where the repository has none, these: no runAs, idle 20 minutes."""
IDLE_MINUTES, LONGEST_MINUTES = 20, 1440
OPEN_SECONDS = 60
"""After that a ticket opens nothing new; it only takes up what it opened."""
GRACE_SECONDS = 120
REVOKED_SECONDS = 2 * 86400
"""For how long a node that was away is still told of an end: longer than any ticket counts."""
LOOK_MS = 1000
VERBS = {SHELL: "session", PORT: "forward"}


class Asked(Protocol):
    """What somebody wants to open; `requests.SessionBody` is one."""

    @property
    def node(self) -> str: ...
    @property
    def sort(self) -> str: ...
    @property
    def run_as(self) -> str: ...
    @property
    def document(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(slots=True)
class Open:
    """A session as this server knows it. `subject` is who asked for it, `channels` how many of it are connected."""

    ticket: Ticket
    subject: Subject
    node_name: str
    began_at: int
    channels: int = 0
    up: int = 0
    down: int = 0
    gone_at: int = 0


@dataclass(slots=True)
class _Ended:
    node_id: str
    at: int
    revocation: Revocation = field(repr=False)


class Sessions:
    """Methods may be called from any thread. `wake` has nodes look at what they are to know."""

    def __init__(
        self,
        state: State,
        store: Store,
        clock: Clock,
        permissions: Permissions,
        shelf: Shelf,
        seal: tuple[Signer, Verify] | None,
        wake: Callable[[list[str]], None],
    ) -> None:
        self._state, self._store, self._clock = state, store, clock
        self._permissions, self._shelf, self._seal, self._wake = permissions, shelf, seal, wake
        self._mutex = threading.Lock()
        self._open: dict[str, Open] = {}
        self._over: dict[str, _Ended] = {}
        self._next_look = 0

    # What people ask for

    def start(self, subject: Subject, asked: Asked) -> dict[str, Any]:
        """A ticket, signed: good for a minute to open the session with, and for its duration to come back to it."""
        verb = VERBS[asked.sort]
        with self._permissions.recorded(subject, verb, asked.node):
            entry = self._entry(subject, verb, asked.node)
            life = self._state.life(entry.id)
            if not life.connected:
                raise Unavailable(f"node {entry.name}", "it is not connected")
            if life.features and FEATURE not in life.features:
                raise Refused(f"the agent of {entry.name} opens no sessions", "agent", "upgrade it")
            ticket = self._ticket(subject, entry, asked)
            signed = self._signer().sign(canonical(to_wire(ticket)), sshsig.TICKET)
            now = self._clock.now_ms()
            detail = " ".join(filter(None, (_what(ticket), asked.reason)))[:500]
            self._audit(subject.name, verb, entry.name, "opened", ticket.ticket_id, detail)
            with self._mutex:
                self._open[ticket.ticket_id] = Open(ticket, subject, entry.name, now, gone_at=now)
        return {"session": ticket.ticket_id, "node": entry.name, "nodeId": entry.id, "ticket": to_wire(signed)}

    def list(self, subject: Subject) -> list[dict[str, Any]]:
        """What is open on the nodes within reach, oldest first."""
        reach = self._permissions.reach(subject, "read", "Node", self._state.world.nodes)
        with self._mutex:
            found = list(self._open.values())
        named = self._state.world.nodes.named
        return [_view(one) for one in found if named(one.ticket.envelope.node_id) & reach]

    def terminate(self, subject: Subject, session_id: str) -> dict[str, Any]:
        """End a session now. One's own may always be ended."""
        with self._mutex:
            one = self._open.get(session_id)
        if one is None or one.subject.name != subject.name:
            reach = self._permissions.reach(subject, "terminate", "Node", self._state.world.nodes)
            known = one is not None and self._state.world.nodes.named(one.ticket.envelope.node_id) & reach
            if one is None or not known:
                raise Refused(f"no session {session_id:.60} is open", "session", "see opsctl session list")
        self._end(one, f"terminated by {subject.name}")
        return _view(one)

    # What the face that carries bytes asks

    def admit(self, subject: Subject, signed: Signed, *, again: bool) -> Ticket:
        """The ticket, where it may be used here and now. Raises `Refused`."""
        ticket = self._opened(signed)
        if ticket.subject != subject.name:
            raise Refused("the ticket is somebody else's", "ticket")
        why = self.why_over(ticket, subject)
        if why:
            raise Refused(why, "ticket")
        fresh = self._clock.now_ms() - milliseconds(ticket.envelope.issued_at) <= OPEN_SECONDS * 1000
        with self._mutex:
            one = self._open.get(ticket.ticket_id)
            if one is None:
                if not (again or fresh):
                    raise Refused("the ticket was not used in time", "ticket", "start the session again")
                entry = self._state.world.nodes.entry(ticket.envelope.node_id)
                name = entry.name if entry is not None else ticket.envelope.node_id
                one = Open(ticket, subject, name, milliseconds(ticket.envelope.issued_at))
                self._open[ticket.ticket_id] = one
            elif not again and ticket.sort == SHELL and not fresh:
                raise Refused("the ticket was not used in time", "ticket", "start the session again")
            one.channels += 1
        return ticket

    def is_over(self, ticket_id: str) -> bool:
        """Whether a session was ended. Cheap, for whoever carries its bytes to ask again and again."""
        return ticket_id in self._over

    def why_over(self, ticket: Ticket, subject: Subject) -> str:
        """Why a session may not go on, empty where it may."""
        if self.is_over(ticket.ticket_id):
            return "the session was ended"
        issued = milliseconds(ticket.envelope.issued_at)
        if self._clock.now_ms() > issued + ticket.envelope.expires_in * 1000:
            return "the session lasted as long as it may"
        nodes = self._state.world.nodes
        reach = self._permissions.within(subject, VERBS[ticket.sort], "Node", nodes)
        if not nodes.named(ticket.envelope.node_id) & reach:
            return f"{subject.name} may no longer do this on the node, or it is retired"
        return ""

    def left(self, ticket: Ticket, up: int, down: int, *, over: bool) -> None:
        """A channel was disconnected after so many bytes to and from the node; `over`: the session is."""
        with self._mutex:
            one = self._open.get(ticket.ticket_id)
            if one is None:
                return
            one.channels, one.up, one.down = one.channels - 1, one.up + up, one.down + down
            one.gone_at = self._clock.now_ms()
        if over:
            self._forget(one, "closed", "")

    # What the controller does with it

    def settle(self) -> None:
        """End what may not go on, and forget what nobody came back to."""
        now = self._clock.now_ms()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_MS
        with self._mutex:
            found = list(self._open.values())
        for one in found:
            why = self.why_over(one.ticket, one.subject)
            if why:
                self._end(one, why)
            elif not one.channels and now - one.gone_at > GRACE_SECONDS * 1000:
                self._end(one, "nobody came back to it")
        with self._mutex:
            self._over = {key: one for key, one in self._over.items() if now - one.at < REVOKED_SECONDS * 1000}

    def revocations(self, node_id: str) -> tuple[Revocation, ...]:
        """The ends that a node is to know of."""
        with self._mutex:
            return tuple(one.revocation for one in self._over.values() if one.node_id == node_id)

    # How

    def _end(self, one: Open, why: str) -> None:
        node_id, now = one.ticket.envelope.node_id, self._clock.now_ms()
        envelope = _envelope(self._state, node_id, now, REVOKED_SECONDS, f"session of {one.ticket.subject}: {why}")
        with self._mutex:
            self._over[one.ticket.ticket_id] = _Ended(node_id, now, Revocation(envelope, one.ticket.ticket_id))
        self._forget(one, "ended", why)
        self._wake([node_id])

    def _forget(self, one: Open, outcome: str, why: str) -> None:
        with self._mutex:
            if self._open.pop(one.ticket.ticket_id, None) is None:
                return
        seconds = (self._clock.now_ms() - one.began_at) // 1000
        detail = f"{why + '; ' if why else ''}{seconds} s, {one.up} bytes to the node, {one.down} from it"
        verb = VERBS[one.ticket.sort]
        self._audit(one.ticket.subject, verb, one.node_name, outcome, one.ticket.ticket_id, detail)

    def _audit(self, who: str, verb: str, what: str, outcome: str, ref: str, detail: str) -> None:
        at = self._clock.now_ms()
        self._store.commit(Changes(at=at, audit=(AuditRow(at, who, verb, what, outcome, ref, detail),)))

    def _entry(self, subject: Subject, verb: str, name: str) -> NodeEntry:
        nodes = self._state.world.nodes
        reach = self._permissions.reach(subject, verb, "Node", nodes)
        entry = nodes.entry(name)
        if entry is None or not nodes.named(entry.id) & reach:
            close = nearest(name, nodes.names(reach & nodes.everyone))
            hint = f"did you mean {close}?" if close else ""
            raise Refused(f"no node named {name} is known to you for this", "node", hint)
        return entry

    def _ticket(self, subject: Subject, entry: NodeEntry, asked: Asked) -> Ticket:
        inputs = self._preferences(asked.document)
        idle = _minutes(inputs.idle_session_timeout, IDLE_MINUTES)
        duration = _minutes(inputs.max_session_duration, LONGEST_MINUTES) * 60
        limits = {"idle": idle * 60, "duration": duration, "grace": GRACE_SECONDS}
        envelope = _envelope(self._state, entry.id, self._clock.now_ms(), duration, f"session of {subject.name}")
        ticket_id = TICKET_PREFIX + secrets.token_hex(12)
        if asked.sort == PORT:
            if asked.host:
                raise Refused(
                    f"the session leads to {asked.host}, and other machines are not on this server's list", "forward"
                )
            return Ticket(envelope, ticket_id, subject.name, limits, PORT, port=asked.port, path=asked.path)
        fixed = inputs.run_as_default_user if _on(inputs.run_as_enabled) else ""
        if fixed and asked.run_as not in ("", fixed):
            raise Refused(f"sessions run as {fixed}, as {asked.document or PREFERENCES} says", "runAs")
        run_as, profile = fixed or asked.run_as, inputs.shell_profile.linux
        return Ticket(envelope, ticket_id, subject.name, limits, SHELL, run_as, profile)

    def _preferences(self, name: str) -> SessionInputs:
        try:
            document = self._shelf.named(name or PREFERENCES)
        except Problem:
            if name:
                raise
            return SessionInputs()
        if not isinstance(document.content, SessionDocument) or document.content.session_type != "Standard_Stream":
            raise Refused(f"{document.name} is no document of shells", "document", "one with `Standard_Stream`")
        return document.content.inputs or SessionInputs()

    def _signer(self) -> Signer:
        if self._seal is None:
            raise Unavailable("sessions", "this controller signs no tickets")
        return self._seal[0]

    def _opened(self, signed: Signed) -> Ticket:
        if self._seal is None:
            raise Unavailable("sessions", "this controller signs no tickets")
        signer, verify = self._seal
        try:
            return from_wire(Ticket, json.loads(verify(signed, signer.public, sshsig.TICKET)), "ticket")
        except (Malformed, ValueError, RecursionError) as error:
            raise Refused(f"the ticket is not this server's: {error}", "ticket") from error


def _envelope(state: State, node_id: str, now: int, seconds: int, cause: str) -> Envelope:
    world = state.world
    return Envelope(PROTOCOL, world.fleet_id, node_id, world.incarnation, 0, instant(now), seconds, cause=cause)


def _minutes(text: str, default: int) -> int:
    return min(int(text), LONGEST_MINUTES) if text.isdigit() and int(text) else default


def _on(switch: bool | str) -> bool:
    return switch is True or str(switch).strip().lower() == "true"


def _what(ticket: Ticket) -> str:
    if ticket.sort == SHELL:
        return f"a shell{' as ' + ticket.run_as if ticket.run_as else ''}"
    return f"to {ticket.path or f'port {ticket.port}'}"


def _view(one: Open) -> dict[str, Any]:
    return {
        "session": one.ticket.ticket_id,
        "subject": one.ticket.subject,
        "node": one.node_name,
        "what": _what(one.ticket),
        "startedAt": instant(one.began_at),
        "connected": one.channels > 0,
        "bytesToNode": one.up,
        "bytesFromNode": one.down,
    }
