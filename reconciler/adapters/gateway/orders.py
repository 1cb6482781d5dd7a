"""What a node is told besides its set: holds, permits, jobs and their ends, signed by the controller key; and why it
has to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.contract import frames, sshsig
from agent.contract.canonical import canonical
from agent.contract.codec import to_wire

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator

    from agent.contract.codec import Wire
    from agent.contract.job import Compile
    from reconciler.core.node_ports import Intake, Orders
    from reconciler.core.ports import Signer

Order = tuple["Hashable", str]
"""What an order says, whenever it is signed, and its frame."""


class SignedOrders:
    """Blocking; called from several threads."""

    def __init__(self, intake: Intake, signer: Signer) -> None:
        self._intake, self._signer = intake, signer

    def news(self, node_id: str, sent: Collection[Hashable]) -> list[Order]:
        """A node's orders that are not among those sent to it."""
        orders = self._intake.orders(node_id)
        return [*self._fresh(orders, sent)]

    def compiled(self, node_id: str, question: Compile) -> str:
        """The frame that answers what a document on the node means. Raises as the intake."""
        return self._signed("compiled", self._intake.compiled(node_id, question), sshsig.JOB)

    def _fresh(self, orders: Orders, sent: Collection[Hashable]) -> Iterator[Order]:
        hold = orders.hold
        if hold is not None:
            said = ("hold", hold.envelope.incarnation, hold.envelope.serial)
            if said not in sent:
                yield said, self._signed("hold", hold, sshsig.HOLD)
        for permit in orders.permits:
            run = ("permit", permit.uid, permit.generation, permit.run_instant)
            if run not in sent:
                yield run, self._signed("permit", permit, sshsig.JOB)
        for job in orders.jobs:
            if ("job", job.envelope.job_id) not in sent:
                yield ("job", job.envelope.job_id), self._signed("job", job, sshsig.JOB)
        for revocation in orders.revocations:
            if ("revocation", revocation.revoked_id) not in sent:
                signed = self._signed("revocation", revocation, sshsig.REVOCATION)
                yield ("revocation", revocation.revoked_id), signed
        for postponed in orders.postponed:
            if postponed not in sent:
                yield postponed, frames.control(postponed)

    def _signed(self, name: str, message: Wire, namespace: str) -> str:
        return frames.signed_control(name, self._signer.sign(canonical(to_wire(message)), namespace))
