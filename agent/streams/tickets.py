"""Whether a ticket is one: the controller's word, for this node, not seen before, and all of it understood."""

from __future__ import annotations

import json

from agent.contract import sshsig
from agent.contract.codec import Malformed, from_wire, not_fields
from agent.contract.job import Revocation
from agent.contract.session import PORT, SHELL, TICKET_PREFIX, Ticket
from agent.contract.wire import Signed
from agent.crypto import opened
from agent.state.identity import Identity

LONGEST = 7 * 86400
"""Seconds that a session may last, whatever its ticket says."""


class TicketRefused(Exception):
    """The ticket opens nothing here; the message says why."""


def checked(signed: Signed, identity: Identity) -> Ticket:
    """Raises `TicketRefused`."""
    try:
        ticket = from_wire(Ticket, json.loads(opened(signed, identity.controller(), sshsig.TICKET)), "ticket")
    except (sshsig.BadSignature, Malformed, ValueError, RecursionError) as error:
        raise TicketRefused("the ticket is not the controller's: %s" % error) from error
    envelope = ticket.envelope
    if (envelope.fleet_id, envelope.node_id) != (identity.fleet_id, identity.node_id):
        raise TicketRefused("the ticket is for node %s of fleet %s" % (envelope.node_id, envelope.fleet_id))
    if not_fields(Ticket, envelope.must_understand) or ticket.sort not in (SHELL, PORT):
        raise TicketRefused("this agent does not understand all of the ticket")
    if not 0 < limit(ticket, "duration") <= LONGEST:
        raise TicketRefused("the ticket says no time after which the session ends")
    return ticket


def revoked_ticket(signed: Signed, identity: Identity) -> str:
    """The ticket that a revocation ends; empty for one that is of a job, or not the controller's."""
    try:
        payload = opened(signed, identity.controller(), sshsig.REVOCATION)
        revocation = from_wire(Revocation, json.loads(payload), "revocation")
    except (sshsig.BadSignature, Malformed, ValueError, RecursionError):
        return ""
    ours = (revocation.envelope.fleet_id, revocation.envelope.node_id) == (identity.fleet_id, identity.node_id)
    return revocation.revoked_id if ours and revocation.revoked_id.startswith(TICKET_PREFIX) else ""


def limit(ticket: Ticket, name: str) -> int:
    """A limit in seconds, 0 where the ticket has none."""
    return ticket.limits.get(name, 0)
