"""What all steps of a run come to together: its status, and the reason for it."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from agent.contract.wire import ClaimReport
from agent.rounds import look as looking
from agent.rounds.look import Look
from agent.rounds.outcome import PRECEDENCE, RunResult, fitted
from agent.steps.step import REBOOTING

_NOT_TAKEN_AWAY = "what the document no longer declares could not all be taken away"


def verdict(looks: Sequence[Look], pruned: List[ClaimReport]) -> Tuple[str, Optional[str]]:
    """(status, reason); the failure that counts for most gives both."""
    failing = heaviest([look for look in looks if look.fails_run])
    if failing is not None and failing.problem is not None:
        return failing.problem.status, "%s: %s" % (failing.step.name, failing.problem.reason)
    if any(report.outcome == "Failed" for report in pruned):
        return "Failed", _NOT_TAKEN_AWAY
    if looks and all(look.skipped for look in looks):
        return "Skipped", looks[0].skipped
    return "Success", None


def heaviest(looks: Sequence[Look]) -> Optional[Look]:
    """Of looks at steps that failed the one whose failure counts for most."""
    return min(looks, key=_weight, default=None)


def result_of(looks: Sequence[Look], pruned: List[ClaimReport], started_at: str, finished_at: str) -> RunResult:
    """What a run is told as. `pruned` tells of what was taken away."""
    status, reason = verdict(looks, pruned)
    claims = [report for look in looks for report in looking.reports(look)] + pruned
    kept, output, truncated = fitted(claims, looking.output(looks))
    changed = any(look.applied for look in looks) or any(report.outcome == "Changed" for report in pruned)
    return RunResult(status, kept, started_at, finished_at, reason, output, truncated, changed)


def _weight(look: Look) -> int:
    """The less the more a failure counts. A reboot goes before all, for it is no end."""
    assert look.problem is not None
    order = (REBOOTING, *PRECEDENCE)
    return order.index(look.problem.status) if look.problem.status in order else len(order)
