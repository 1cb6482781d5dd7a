"""Join tokens, the identities that they buy, and how an identity ends. Runs on the loop."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from agent.contract.canonical import instant
from agent.contract.token import encode_token
from agent.contract.wire import Enrolled, Token
from reconciler.core import indexing
from reconciler.core.nodes import NodeEntry
from reconciler.core.problem import Refused
from reconciler.core.records import AuditRow, Changes, NodeRow, TokenRow
from reconciler.core.resource import NAME_PATTERN, uid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.contract.wire import Enrolment
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.ports import Clock, Store
    from reconciler.engine.catalog import Catalog

SECRET_BYTES = 32
LONGEST = 30 * 86400
"""Seconds that a join token may live at most."""
VISIT = "visit"
"""Stands where other tokens have their id."""
ASK_AGAIN = "ask for a new one: opsctl token create"


class Enrolments:
    """Makes single-use tokens and redeems them. The same node may repeat a request whose answer it lost."""

    def __init__(
        self,
        state: State,
        keeper: Keeper,
        store: Store,
        clock: Clock,
        controller_key: str,
        servers: Sequence[str],
        ca_digest: str,
    ) -> None:
        self._state, self._keeper, self._store, self._clock = state, keeper, store, clock
        self._controller_key, self._servers, self._ca_digest = controller_key, list(servers), ca_digest

    def create_token(self, subject: Subject, node: str, labels: Mapping[str, str], ttl_seconds: int) -> str:
        """The token's text; only a digest of its secret is kept. Raises `Refused` for what cannot be asked for."""
        if not 0 < ttl_seconds <= LONGEST:
            raise Refused(f"a token may live between 1 and {LONGEST} seconds, not {ttl_seconds}", "token")
        if node and not re.match(NAME_PATTERN, node):
            raise Refused(f"{node!r} cannot be the name of a node", "token", "use letters, digits, `_`, `.` and `-`")
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
        detail = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
        audit = AuditRow(now, subject.name, "enroll", node or "*", "token created", row.id, detail)
        self._keeper.commit(Changes(at=now, tokens=(row,), audit=(audit,)))
        return encode_token(Token(self._servers, self._state.world.fleet_id, self._ca_digest, row.id, secret))

    def enrol(self, request: Enrolment, peer: str) -> Enrolled:
        """Use a token. Raises `Refused`, by the rule that is the reason told to the node."""
        now = self._clock.now_ms()
        token = self._store.token(request.token_id)
        offered = hashlib.sha256(request.secret.encode()).hexdigest()
        if token is None or not hmac.compare_digest(token.secret_digest, offered):
            self._refuse(now, peer, "unknown", "enrolment with an unknown token", ASK_AGAIN)
        if token.used_at is not None and token.used_key != request.sign_key:
            self._refuse(now, peer, "used", "the join token was used already", ASK_AGAIN)
        if token.used_at is not None and (known := self._store.node(token.node_id)) is not None:
            if known.retired_at is not None:
                self._refuse(now, peer, "used", f"the node of this token, {known.name}, was retired", ASK_AGAIN)
            return self._identity(known)
        if token.expires_at <= now:
            self._refuse(now, peer, "expired", f"the join token expired at {instant(token.expires_at)}", ASK_AGAIN)
        if token.created_at < self._store.incarnation:
            self._refuse(now, peer, "expired", "the join token is from before the store was restored", ASK_AGAIN)
        name = self._name(token, request, now, peer)
        row = _row_of(name, request, token.labels, now)
        used = replace(token, used_at=now, used_key=request.sign_key, node_id=row.id)
        audit = AuditRow(now, f"token:{token.id}", "enroll", row.name, row.id, token.id, f"from {peer}")
        self._admit(row, Changes(at=now, nodes=(row,), tokens=(used,), audit=(audit,)))
        return self._identity(row)

    def visiting_token(self, secret: str) -> str:
        """The text of a token that is good for one visit: it is remembered by nobody but the one who made it."""
        token = Token(self._servers, self._state.world.fleet_id, self._ca_digest, VISIT, secret)
        return encode_token(token)

    def enrol_visited(self, name: str, request: Enrolment, peer: str, *, ephemeral: bool) -> Enrolled:
        """Make the machine that a visit found the node of that name; Git says that it is there.

        The same machine may ask again where its answer was lost; an ephemeral one has new keys at every visit.
        """
        now = self._clock.now_ms()
        holder = self._state.world.nodes.entry(name) or self._called_otherwise(name)
        known = self._store.node(holder.id) if holder is not None else None
        if known is None:
            row = _row_of(name, request, {}, now)
            audit = AuditRow(now, f"ssh:{name}", "enroll", row.name, row.id, "", f"from {peer}")
            self._admit(row, Changes(at=now, nodes=(row,), audit=(audit,)))
            return self._identity(row)
        if known.sign_key != request.sign_key and not ephemeral:
            remedy = f"is its /var/lib/opsctl gone? opsctl node retire {name}, then change its Node file"
            self._refuse(now, peer, "name", f"a node named {name} is enrolled already, with another key", remedy)
        if known.sign_key != request.sign_key:
            row = replace(known, sign_key=request.sign_key, seal_key=request.seal_key)
            self._keeper.commit(Changes(at=now, nodes=(row,)))
        return self._identity(known)

    def _admit(self, row: NodeRow, changes: Changes) -> None:
        entry = NodeEntry(row.id, row.name, dict(row.labels), dict(row.labels))
        world = self._state.world
        nodes = indexing.relabelled(world.nodes, [entry])
        self._keeper.commit(changes, replace(world, sequence=world.sequence + 1, nodes=nodes))
        self._state.dirty = True

    def retire(self, subject: Subject, entry: NodeEntry) -> None:
        """End an identity: the node is told to let go of everything, and nothing it says counts any more."""
        now, world = self._clock.now_ms(), self._state.world
        gone = world.nodes.named(entry.id)
        columns = {
            uid: left
            for uid, was in world.columns.items()
            if (left := was.withdrawn(gone) if was.anywhere & gone else was).given
        }
        after = replace(
            world,
            sequence=world.sequence + 1,
            nodes=indexing.without(world.nodes, [entry.id]),
            columns=columns,
            online=world.online & ~gone,
            unsettled=world.unsettled & ~gone,
        )
        audit = AuditRow(now, subject.name, "retire", entry.name, "retired", entry.id)
        self._keeper.commit(Changes(at=now, retired=(entry.id,), audit=(audit,)), after, [entry.id])
        self._state.dirty = True

    def _name(self, token: TokenRow, request: Enrolment, now: int, peer: str) -> str:
        """What the node is called: as its token says; else as it says itself, where that can get it nothing.

        A name selects: Node files, groups and targets go by it. Only a token may give one that Git knows.
        """
        name = token.node_name or request.hostname
        if not re.match(NAME_PATTERN, name):
            self._refuse(now, peer, "name", f"{name!r} cannot be the name of a node", "enroll with --name")
        catalog = self._state.catalog
        if not token.node_name and catalog is not None and name in _mentioned(catalog):
            remedy = f"opsctl token create --node {name}"
            self._refuse(now, peer, "name", f"{name} is a name that Git speaks of; its token must say so too", remedy)
        holder = self._state.world.nodes.entry(name) or self._called_otherwise(name)
        if holder is not None:
            also = f" (and called {holder.name} in Git)" if holder.name != name else ""
            what = f"a node named {name} is enrolled already{also}"
            self._refuse(now, peer, "name", what, f"opsctl node retire {holder.name} first")
        return name

    def _called_otherwise(self, name: str) -> NodeEntry | None:
        """The node that was enrolled under a name and is called by another one in Git now."""
        catalog = self._state.catalog
        resource = catalog.resources.get(uid("Node", name)) if catalog is not None else None
        entry = self._state.world.nodes.entry(resource.name) if resource is not None else None
        return entry if entry is not None and entry.lasting_name == name else None

    def _refuse(self, now: int, peer: str, rule: str, what: str, remedy: str) -> NoReturn:
        self._keeper.commit(Changes(at=now, audit=(AuditRow(now, f"peer:{peer}", "enroll", "", f"refused: {what}"),)))
        raise Refused(what, rule, remedy)  # the rule is a reason of the contract's `Refusal`

    def _identity(self, row: NodeRow) -> Enrolled:
        return Enrolled(
            fleet_id=self._state.world.fleet_id,
            node_id=row.id,
            node_name=row.name,
            controller_key=self._controller_key,
            incarnation=self._store.incarnation,
        )


def _row_of(name: str, request: Enrolment, labels: Mapping[str, str], now: int) -> NodeRow:
    return NodeRow(
        id="mi-" + secrets.token_hex(9)[:17],
        name=name,
        sign_key=request.sign_key,
        seal_key=request.seal_key,
        labels=dict(labels),
        enrolled_at=now,
        agent_version=request.agent_version,
        platform=request.platform,
    )


def _mentioned(catalog: Catalog) -> set[str]:
    """Names (and ids) of nodes that the repository speaks of: declared, listed in a group, or targeted."""
    prefix = uid("Node", "")
    names = {name for node in catalog.of("Node") for name in (node.name, node.uid.removeprefix(prefix))}
    names.update(member for resource in catalog.of("Group") for member in resource.spec.members)
    for resource in (*catalog.of("Association"), *catalog.of("Group")):
        for target in resource.spec.targets:
            if target.key in ("name", "InstanceIds"):
                names.update(target.values)
    return names
