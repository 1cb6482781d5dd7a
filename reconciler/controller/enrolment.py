"""Join tokens and the identities that they buy. Runs on the loop's thread."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from agent.contract.canonical import instant
from agent.contract.token import encode_token
from agent.contract.wire import Enrolled, Token
from reconciler.core import world as worlds
from reconciler.core.problem import Refused
from reconciler.core.records import AuditRow, Changes, NodeRow, TokenRow
from reconciler.engine import contexts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.contract.wire import Enrolment
    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.ports import Clock, Store

SECRET_BYTES = 32
LONGEST = 30 * 86400
"""Seconds that a join token may live at most."""


class Enrolments:
    """Makes single-use tokens and redeems them. The same node may repeat a request whose answer it lost."""

    def __init__(
        self, state: State, store: Store, clock: Clock, controller_key: str, servers: Sequence[str], ca_digest: str
    ) -> None:
        self._state, self._store, self._clock = state, store, clock
        self._controller_key, self._servers, self._ca_digest = controller_key, list(servers), ca_digest

    def create_token(self, subject: Subject, node: str, labels: Mapping[str, str], ttl_seconds: int) -> str:
        """The token's text; only a digest of its secret is kept. Raises `Refused` for a life that is too long."""
        if not 0 < ttl_seconds <= LONGEST:
            raise Refused(f"a token may live between 1 and {LONGEST} seconds, not {ttl_seconds}", "token")
        now = self._clock.now_ms()
        secret = secrets.token_urlsafe(SECRET_BYTES)
        row = TokenRow(
            id="jt-" + secrets.token_hex(8),
            secret_digest=hashlib.sha256(secret.encode()).hexdigest(),
            created_at=now,
            expires_at=now + ttl_seconds * 1000,
            created_by=subject.name,
            node_name=node,
            labels=dict(labels),
        )
        audit = AuditRow(now, subject.name, "enroll", node or "*", "token created", row.id)
        self._store.commit(Changes(tokens=(row,), audit=(audit,)))
        return encode_token(Token(self._servers, self._state.world.fleet_id, self._ca_digest, row.id, secret))

    def enrol(self, request: Enrolment, peer: str) -> Enrolled:
        now = self._clock.now_ms()
        token = self._store.token(request.token_id)
        offered = hashlib.sha256(request.secret.encode()).hexdigest()
        if token is None or not hmac.compare_digest(token.secret_digest, offered):
            self._refuse(
                now, peer, "unknown", "enrolment with an unknown token", "ask for a new one: opsctl token create"
            )
        if token.used_at is not None and token.used_key != request.sign_key:
            self._refuse(now, peer, "used", "the join token was used already", "ask for a new one: opsctl token create")
        if token.used_at is not None and (known := self._store.node(token.node_id)) is not None:
            return self._identity(known)
        if token.expires_at <= now:
            self._refuse(
                now, peer, "expired", f"the join token expired at {instant(token.expires_at)}", "ask for a new one"
            )
        name = token.node_name or request.hostname
        if name in self._state.world.nodes.by_name:
            self._refuse(
                now, peer, "name", f"a node named {name} is enrolled already", f"opsctl node retire {name} first"
            )
        row = NodeRow(
            id="mi-" + secrets.token_hex(9)[:17],
            name=name,
            sign_key=request.sign_key,
            seal_key=request.seal_key,
            labels=dict(token.labels),
            enrolled_at=now,
            agent_version=request.agent_version,
            platform=request.platform,
        )
        used = replace(token, used_at=now, used_key=request.sign_key, node_id=row.id)
        audit = AuditRow(now, f"token:{token.id}", "enroll", row.name, row.id, token.id, f"from {peer}")
        self._store.commit(Changes(nodes=(row,), tokens=(used,), audit=(audit,)))
        entry = worlds.NodeEntry(row.id, row.name, dict(row.labels), dict(row.labels))
        nodes = worlds.relabelled(self._state.world.nodes, [entry])
        if self._state.catalog is not None:
            nodes = contexts.joined(self._state.catalog, nodes)
        self._state.world = replace(self._state.world, sequence=self._state.world.sequence + 1, nodes=nodes)
        self._state.dirty = True
        return self._identity(row)

    def _refuse(self, now: int, peer: str, rule: str, what: str, remedy: str) -> NoReturn:
        self._store.commit(Changes(audit=(AuditRow(now, f"peer:{peer}", "enroll", "", f"refused: {what}"),)))
        raise Refused(what, rule, remedy)  # the rule is a reason of the contract's `Refusal`

    def _identity(self, row: NodeRow) -> Enrolled:
        return Enrolled(
            fleet_id=self._state.world.fleet_id,
            node_id=row.id,
            node_name=row.name,
            controller_key=self._controller_key,
            incarnation=self._store.incarnation,
        )
