"""What the node holds, read from disk as values: bodies, their context, who owns what; of what cannot be used, why."""

from __future__ import annotations

from typing import Callable, Dict, Optional

from agent.contract import ephemeral
from agent.contract.codec import to_wire
from agent.contract.wire import Body, NodeContext
from agent.rounds.claimants import Claimants, claimants
from agent.rounds.look import is_run
from agent.state.assignments import Desired, NotUnderstood
from agent.state.node import Node
from agent.state.objects import NotHeld


class Holdings:
    """What the set that was read last consists of. `lacking` is called when bytes turn out to be lost on disk.

    `bodies` are by association, and so are the reasons in `unusable`; `context` is None where it cannot be read;
    `claimants` are those of all bodies.
    """

    def __init__(self, node: Node, lacking: Callable[[], None]) -> None:
        self._node, self._lacking = node, lacking
        self.bodies: Dict[str, Body] = {}
        self.unusable: Dict[str, str] = {}
        self.context: Optional[NodeContext] = None
        self.claimants: Claimants = claimants(())

    def read(self, desired: Desired) -> None:
        """Take over what this set consists of, in place of what was read before."""
        self.bodies, self.unusable, self.context = {}, {}, None
        try:
            self.context = self._node.assignments.context(desired.context_digest)
        except (NotHeld, NotUnderstood) as error:
            self.unusable = dict.fromkeys(desired.assignments, str(error))
            self._lacking()
        for uid, item in desired.assignments.items():
            self._read_body(uid, item.body_digest)
        self.claimants = claimants(self.bodies.values())

    def schedule(self, uid: str) -> Optional[str]:
        """An association's schedule, where it has something that is run rather than held."""
        body = self.bodies.get(uid)
        return body.schedule if body is not None and any(map(is_run, body.steps)) else None

    def templated(self, uid: str) -> bool:
        """Whether an association has a step that renders a template."""
        body = self.bodies.get(uid)
        return body is not None and any(step.inputs.get("template") for step in body.steps)

    def blob(self, digest: str) -> bytes:
        """The bytes of that digest. Raises NotHeld."""
        try:
            return self._node.assignments.objects.read(digest)
        except NotHeld:
            self._lacking()
            raise

    def _read_body(self, uid: str, digest: str) -> None:
        try:
            body = self._node.assignments.body(digest)
        except NotUnderstood as error:
            self.unusable[uid] = "Unsupported: %s; upgrade it" % error
        except NotHeld as error:
            self.unusable[uid] = str(error)
            self._lacking()
        else:
            reason = self._objection(uid, body)
            if reason:
                self.unusable[uid] = reason
            else:
                self.bodies[uid] = body

    def _objection(self, uid: str, body: Body) -> str:
        """Why a body is not to be used as that of an association; empty where it may be."""
        if body.uid != uid:
            return "its body is that of %s" % body.uid
        refused = ephemeral.refusal(to_wire(body)) if self._node.identity.ephemeral else ""
        return "%s: %s" % (ephemeral.WORD, refused) if refused else ""
