"""The gateway: where agents come in. It knows who is here, hands in what they say, and sends what they should hold.

Belongs here: the server's side of `agent.contract` on a WebSocket: the signed hello, sets, streams, reports, enrolment,
and the bounds on all of it; `Bus` for whoever wants a node to look again.
Does not belong here: what a node should hold, what a report means, who may enrol (`core.node_ports.Intake` answers),
TLS and sockets (`adapters.listener`), people's requests (`api`).

A connection is `handshake` (pure), then `connection` with its `outgoing` streams (pure) and `reports`; `gateway` keeps
the list of who is here and pushes `sets`. The gateway is trusted with delivery only: it signs with the controller key
what the intake says, and can neither invent a report nor alter one.
"""

from reconciler.adapters.gateway.gateway import Gateway, Identity
from reconciler.adapters.gateway.memory import MemoryBus
from reconciler.adapters.gateway.releases import Program

__all__ = ["Gateway", "Identity", "MemoryBus", "Program"]
