"""Associations that left this node: taken away or let go, as their `onRemove` says, and reported for the last time.

They stay listed on disk until that report is kept, so that neither a crash nor a busy package manager forgets one.
"""

from __future__ import annotations

from typing import Dict, List, Optional

from agent import log
from agent.contract.canonical import instant
from agent.contract.causes import REMOVED
from agent.contract.wire import Body, ClaimReport
from agent.host.port import Host
from agent.rounds.bench import Bench
from agent.rounds.claimants import Claimants
from agent.rounds.ledger import Ledger, prune
from agent.rounds.outcome import RunResult, failed, fitted
from agent.rounds.reports import subject_of
from agent.rounds.telling import Telling
from agent.state.assignments import Desired, NotUnderstood
from agent.state.node import Node
from agent.state.objects import NotHeld
from agent.steps.step import defect

TRIES = 3
"""Attempts after which what cannot be taken away whole is let go; its last report says what stayed."""


class Departures:
    """What is to be taken away, and when it is tried again."""

    def __init__(self, node: Node, bench: Bench, telling: Telling) -> None:
        self._node, self._bench, self._telling = node, bench, telling
        self._tries: Dict[str, int] = {}
        self._retry_at: Dict[str, float] = {}

    def due(self, desired: Desired) -> List[str]:
        now = self._node.clock.elapsed()
        return [uid for uid in sorted(desired.removing) if self._retry_at.get(uid, 0.0) <= now]

    def next_try(self, desired: Desired) -> Optional[float]:
        """Seconds since boot at which one is due; None when there is none."""
        return min((self._retry_at.get(uid, 0.0) for uid in desired.removing), default=None)

    def take_away(self, uid: str, desired: Desired, claimants: Claimants) -> None:
        """Try one. `claimants` are those of what stays."""
        self._retry_at[uid] = self._node.clock.elapsed() + desired.interval
        if self._node.leave.objection(desired.expires_in):
            return
        result = self._withdrawn(self._body(uid, desired.removing[uid].body_digest), claimants)
        self._tries[uid] = self._tries.get(uid, 0) + 1
        if result.status == "Failed" and self._tries[uid] < TRIES:
            log.log(log.WARNING, "%s cannot be taken away yet: %s", uid, result.reason)
            return
        subject = subject_of(self._node.identity, self._bench.boot_id, desired, uid)
        if self._telling.tell(subject, result, REMOVED, applied=True):
            self._node.assignments.removed(uid)
            del self._tries[uid], self._retry_at[uid]

    def _body(self, uid: str, digest: str) -> Body:
        """Its body; one that retains everything where the real one cannot be had."""
        try:
            return self._node.assignments.body(digest)
        except (NotHeld, NotUnderstood) as error:
            log.log(log.WARNING, "%s is let go as it is: %s", uid, error)
            return Body(uid, "", [])

    def _withdrawn(self, body: Body, claimants: Claimants) -> RunResult:
        try:
            return withdraw(self._bench.host, body, self._bench.ledger, claimants)
        except Exception as error:
            log.log(log.ERROR, "%s: %r", body.uid, error)
            return failed(instant(self._node.clock.now()), defect(error))


def withdraw(host: Host, body: Body, ledger: Ledger, claimants: Claimants, *, apply: bool = True) -> RunResult:
    """The association left this node: what it made is taken away or kept, as its `onRemove` says.

    `claimants` are those of the bodies that stay. Without `apply` nothing is done and the ledger still knows of it.
    """
    started_at = instant(host.now())
    claims: List[ClaimReport] = []
    if apply:
        ledger.settle_all_but(body.uid, ())
    if body.on_remove == "Prune":
        claims = prune(host, ledger, body.uid, claimants.claims, apply=apply)
    elif apply:
        ledger.release(body.uid, claimants.claims)
    stuck = next((claim for claim in claims if claim.outcome == "Failed"), None)
    kept, _, truncated = fitted(claims, "")
    return RunResult(
        status="Failed" if stuck else "Success",
        claims=kept,
        started_at=started_at,
        finished_at=instant(host.now()),
        reason="%s: %s" % (stuck.claim, stuck.reason) if stuck else None,
        truncated=truncated,
        changed=any(claim.outcome == "Changed" for claim in claims),
    )
