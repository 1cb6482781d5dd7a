"""Rows as tests want them: what matters is an argument, the rest is plausible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.contract.canonical import digest
from reconciler.core.records import AssignmentRow, Changes, EffectRow, Given, NodeRow, ReleaseRow, StateRow, TokenRow

if TYPE_CHECKING:
    from collections.abc import Iterable

UID = "Association/base"
BODY, OTHER_BODY = b'{"steps":[]}', b'{"steps":[1]}'
DIGEST, OTHER_DIGEST = digest(BODY), digest(OTHER_BODY)


def node(id_: str, name: str = "", **more: Any) -> NodeRow:
    row = {"sign_key": f"ssh-ed25519 {id_}", "seal_key": f"x25519 {id_}", "labels": {"Env": "prod"}, "enrolled_at": 5}
    return NodeRow(id=id_, name=name or f"name-of-{id_}", **{**row, **more})


def release(generation: int = 1, body_digest: str = DIGEST, uid: str = UID, held_for: str = "") -> ReleaseRow:
    return ReleaseRow(uid, generation, body_digest, f"{generation:040x}", 7, held_for)


def given(ids: Iterable[str], generation: int = 1, body_digest: str = DIGEST, uid: str = UID, at: int = 9) -> Given:
    return Given(uid, generation, body_digest, tuple(ids), at)


def said(
    node_id: str,
    seq: int,
    status: str = "Success",
    compliance: str = "COMPLIANT",
    *,
    generation: int = 1,
    drifted: bool = False,
    uid: str = UID,
) -> AssignmentRow:
    return AssignmentRow(node_id, uid, generation, "", 0, True, status, compliance, drifted, seq)


def state(node_id: str, compliance: str = "COMPLIANT", since: int = 100, uid: str = UID) -> StateRow:
    return StateRow(node_id, uid, compliance, "Success", "", since, "c" * 40, 1)


def token(id_: str = "t1", **more: Any) -> TokenRow:
    return TokenRow(id_, "ab" * 32, 1, 1000, "alice", **more)


def effect(id_: str = "e1", **more: Any) -> EffectRow:
    return EffectRow(id_, "Notify", "{}", "cause", "alice", 3, **more)


def peopled(*ids: str) -> Changes:
    """Two bodies and two releases of one association, and nodes that were given the first."""
    return Changes(
        nodes=tuple(node(id_) for id_ in ids),
        bodies={DIGEST: BODY, OTHER_DIGEST: OTHER_BODY},
        releases=(release(1), release(2, OTHER_DIGEST)),
        given=(given(ids),),
    )
