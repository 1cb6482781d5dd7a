"""Who a machine is that a visit finds: the node of that name, one that was retired and has yet to hear of it, or a new
one. Asked on the visit's own thread; what changes anything goes through the loop.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

from agent.contract.canonical import instant
from agent.contract.token import decode_token
from agent.contract.wire import VALID_FOR, Enrolled, Join, Told
from reconciler.core.problem import Refused, Waiting

if TYPE_CHECKING:
    from agent.contract.wire import Enrolment
    from reconciler.controller.enrolment import Enrolments
    from reconciler.controller.loop import Loop
    from reconciler.controller.state import State
    from reconciler.core.node_ports import SshHost
    from reconciler.core.ports import Clock, Source, Store
    from reconciler.core.records import NodeRow

SECRET_BYTES = 32


class Guests:
    """Makes one `Guest` for each visit."""

    def __init__(
        self, state: State, loop: Loop, store: Store, source: Source, clock: Clock, enrolments: Enrolments
    ) -> None:
        self._state, self._loop, self._store, self._source = state, loop, store, source
        self._clock, self._enrolments = clock, enrolments
        self._parted: set[str] = set()

    def guest(self, host: SshHost) -> VisitGuest:
        """Raises `Waiting` for a machine that was retired: it joins again once its Node file changes."""
        entry = self._state.world.nodes.entry(host.node)
        node_id = entry.id if entry is not None else self._departing(host.node)
        return VisitGuest(host, node_id, self._state, self._loop, self._store, self._enrolments)

    def came(self, node_id: str) -> None:
        """A visit came to its end: a retired node has heard of it."""
        if node_id not in self._state.world.nodes.bits:
            self._parted.add(node_id)

    def name_of(self, node_id: str) -> str:
        """The name of a node that is not in World any more."""
        row = self._store.node(node_id)
        return row.name if row is not None else ""

    def _departing(self, name: str) -> str:
        retired = [row for row in self._store.nodes() if row.name == name and row.retired_at is not None]
        last = max(retired, key=_retired_at, default=None)
        if last is None or self._declared_since(name, _retired_at(last)):
            return ""
        if last.id in self._parted or self._clock.now_ms() > _retired_at(last) + VALID_FOR * 1000:
            since = instant(_retired_at(last))
            raise Waiting(f"{name} was retired at {since}; it joins again when its Node file changes")
        return last.id

    def _declared_since(self, name: str, at: int) -> bool:
        catalog = self._state.catalog
        resource = catalog.nodes.get(name) if catalog is not None else None
        if catalog is None or resource is None:
            return False
        return self._source.last_change(catalog.commit, resource.place.path, 0).at > at


class VisitGuest:
    """Implements the `Guest` port for one visit. Its token is good for that visit and kept nowhere."""

    def __init__(
        self, host: SshHost, node_id: str, state: State, loop: Loop, store: Store, enrolments: Enrolments
    ) -> None:
        self._host, self._node_id = host, node_id
        self._state, self._loop, self._store, self._enrolments = state, loop, store, enrolments
        self._secret = secrets.token_urlsafe(SECRET_BYTES)

    def join(self) -> Join:
        token = self._enrolments.visiting_token(self._secret)
        if not (self._host.ephemeral and self._node_id):
            return Join(token, "", self._node_id)
        row = self._store.node(self._node_id)
        rows = self._store.assignments_of(self._node_id)
        context = row.context_digest if row is not None and not row.unsettled else ""
        told = {one.uid: Told(one.generation, one.body_digest, context) for one in rows if one.reported and context}
        seqs = [one.seq for one in rows] + [self._state.life(self._node_id).removed_seq]
        return Join(token, "", self._node_id, max([0, *seqs]), told)

    def enrol(self, request: Enrolment, peer: str) -> Enrolled:
        if not hmac.compare_digest(request.secret, self._secret):
            raise Refused("the token is not that of this visit", "unknown")
        host, enrolments = self._host, self._enrolments
        enrolled = self._loop.call(lambda: enrolments.enrol_visited(host.node, request, peer, ephemeral=host.ephemeral))
        self._state.life(enrolled.node_id).visited = True
        return enrolled


def secret_of(join: Join) -> str:
    """What a machine has to bring back."""
    return decode_token(join.token).secret


def _retired_at(row: NodeRow) -> int:
    return row.retired_at or 0
