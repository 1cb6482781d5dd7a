"""From what a look found to the report that says so, and whether it says anything new."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional

import agent
from agent.contract.canonical import canonical, digest_of
from agent.contract.causes import REMOVED, SCHEDULE
from agent.contract.codec import to_wire
from agent.contract.record import NamedTuple
from agent.contract.wire import PROTOCOL, REPORT_LIMIT, ClaimReport, Report
from agent.rounds.outcome import RunResult
from agent.state.assignments import Desired
from agent.state.identity import Identity
from agent.state.journal import Reported


class Subject(NamedTuple):
    """What a report is about: one association as one node holds it."""

    fleet_id: str
    node_id: str
    boot_id: str
    incarnation: int
    uid: str
    generation: int
    body_digest: str
    context_digest: str


def subject_of(identity: Identity, boot_id: str, desired: Desired, uid: str) -> Subject:
    """An association that this node holds, or that is leaving it."""
    version = desired.version(uid)
    return Subject(
        fleet_id=identity.fleet_id,
        node_id=identity.node_id,
        boot_id=boot_id,
        incarnation=desired.position.incarnation,
        uid=uid,
        generation=version.generation,
        body_digest=version.body_digest,
        context_digest=version.context_digest,
    )


def report_of(
    subject: Subject, result: RunResult, cause: str, elapsed: float, run_instant: Optional[str] = None
) -> Report:
    """The report of one look; its number is the journal's to give. `elapsed` is seconds since boot."""
    made = Report(
        protocol=PROTOCOL,
        seq=0,
        agent_version=agent.__version__,
        status=result.status,
        claims=[_clean(claim) for claim in result.claims],
        cause=cause,
        started_at=result.started_at,
        finished_at=result.finished_at,
        monotonic=int(elapsed * 1000),
        reason=_text(result.reason),
        output=_text(result.output),
        truncated=result.truncated,
        run_instant=run_instant,
        **subject._asdict(),
    )
    if len(canonical(to_wire(made))) <= REPORT_LIMIT - 32:  # the number takes some digits
        return made
    return dataclasses.replace(
        made, claims=[], output=None, reason=(made.reason or "")[:1000], truncated=made.truncated + len(made.claims)
    )


def content_of(report: Report) -> str:
    """The digest of what a report says of the present: two reports of one content leave the server equally wise.

    Whether a claim was found right or has just been put right makes no difference to what it is (that it is fought over
    does), nor do the words of a script, which differ from run to run.
    """
    value: Dict[str, Any] = {
        "incarnation": report.incarnation,
        "generation": report.generation,
        "body": report.body_digest,
        "context": report.context_digest,
        "agent": report.agent_version,
        "status": report.status,
        "reason": None if report.claims else report.reason,
        "claims": [_standing(claim) for claim in report.claims],
    }
    return digest_of(value)


def worth_keeping(report: Report, content: str, applied: bool, before: Optional[Reported]) -> bool:
    """Whether the server learns something: a run, a change, the last word, or a state it was not told of."""
    if before is None or report.cause in (SCHEDULE, REMOVED) or report.run_instant is not None:
        return True
    if content != before.content or (applied and not before.applied):
        return True
    return any(claim.outcome == "Changed" for claim in report.claims)


def _standing(claim: ClaimReport) -> List[Optional[str]]:
    if claim.outcome in ("Changed", "Unchanged"):
        return [claim.claim, claim.step, "Unchanged", *filter(None, [claim.reason])]
    if claim.claim.startswith("script:"):
        return [claim.claim, claim.step, claim.outcome]
    return [claim.claim, claim.step, claim.outcome, claim.before, claim.after, claim.reason]


def _clean(claim: ClaimReport) -> ClaimReport:
    texts = [_text(text) for text in (claim.before, claim.after, claim.reason, claim.diff)]
    return ClaimReport(_text(claim.claim) or "", _text(claim.step) or "", claim.outcome, *texts)


def _text(text: Optional[str]) -> Optional[str]:
    """Without lone surrogates (names of files that are not UTF-8), which canonical JSON has no form for."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()
