"""What all steps of a run come to together: its status, and the reason for it."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from agent.contract.wire import ClaimReport
from agent.rounds.look import Look
from agent.rounds.outcome import PRECEDENCE
from agent.steps.step import REBOOTING

_NOT_TAKEN_AWAY = "what the document no longer declares could not all be taken away"


def verdict(looks: Sequence[Look], pruned: List[ClaimReport]) -> Tuple[str, Optional[str]]:
    """(status, reason); the failure that counts for most gives both."""
    failing = min((look for look in looks if look.fails_run), key=_weight, default=None)
    if failing is not None and failing.problem is not None:
        return failing.problem.status, "%s: %s" % (failing.step.name, failing.problem.reason)
    if any(report.outcome == "Failed" for report in pruned):
        return "Failed", _NOT_TAKEN_AWAY
    if looks and all(look.skipped for look in looks):
        return "Skipped", looks[0].skipped
    return "Success", None


def _weight(look: Look) -> int:
    """The less the more a failure counts. A reboot goes before all, for it is no end."""
    assert look.problem is not None
    order = (REBOOTING, *PRECEDENCE)
    return order.index(look.problem.status) if look.problem.status in order else len(order)
