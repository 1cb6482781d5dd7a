"""Sessions over one connection: what the server says goes to their desk, if this agent has one."""

from __future__ import annotations

from typing import Any, Dict

from agent.contract import frames
from agent.contract.codec import from_wire
from agent.contract.session import Opening
from agent.contract.wire import Signed
from agent.log import WARNING, log
from agent.state.node import Node
from agent.streams.desk import Desk
from agent.streams.tickets import TicketRefused, revoked_ticket


def take_ticket(desk: Desk, value: Dict[str, Any]) -> None:
    """A ticket and what it is to open; its client is told where it opens nothing. Raises `Malformed`."""
    try:
        desk.take(frames.signed_of(value), from_wire(Opening, value, "ticket"))
    except TicketRefused as error:
        log(WARNING, "a session is refused: %s", error)


def is_ended(desk: Desk, signed: Signed, node: Node) -> bool:
    """End the session that a revocation is of; whether it is of one, and not of a job."""
    revoked = revoked_ticket(signed, node.identity)
    if revoked:
        desk.revoke(revoked)
    return bool(revoked)
