"""Whether this node may change anything, beyond what each assignment says; and why not."""

from __future__ import annotations

from agent.clock import Clock
from agent.contract.leave import frozen
from agent.contract.wire import VALID_FOR
from agent.state.contact import Contact
from agent.state.holds import Holds
from agent.state.identity import Identity
from agent.state.permits import Permits


class Leave:
    """The node's leave to act: what keeps it all from acting, and the permits for single runs."""

    def __init__(self, state: str, identity: Identity, contact: Contact, clock: Clock) -> None:
        self._contact, self._clock = contact, clock
        self.holds, self.permits = Holds(state, identity), Permits(state)

    def objection(self, expires_in: int) -> str:
        """Why nothing may be changed now; empty where it may. `expires_in` is the limit of the set that is held."""
        if not self._contact.in_touch(expires_in):
            days = min(expires_in, VALID_FOR) // 86400
            return "the server was not heard for %d days: the node only monitors until it is" % days
        hold = self.holds.in_force(self._clock.now())
        return frozen(hold.reason, hold.until) if hold is not None else ""
