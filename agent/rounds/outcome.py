"""What a look at one association found and did, bounded so that a report of it fits its frame."""

from __future__ import annotations

import dataclasses
from typing import List, Optional, Tuple

from agent.contract.canonical import canonical
from agent.contract.codec import to_wire
from agent.contract.record import NamedTuple
from agent.contract.wire import REPORT_LIMIT, ClaimReport

OUTPUT_LIMIT = 24000
"""Characters of script output in one report, SSM's limit."""
PRECEDENCE = ("Failed", "TimedOut", "Cancelled")
"""Of several ends of steps the first of these is that of the whole, as SSM has it."""
PRUNE = "prune"
"""The step name under which a report tells of what was taken away."""
_ROOM = REPORT_LIMIT - 32 * 1024
_WORST = 6  # bytes that one character takes as JSON


class RunResult(NamedTuple):
    """`changed` says whether anything was done to the node; `truncated` counts what did not fit."""

    status: str
    claims: List[ClaimReport]
    started_at: str
    finished_at: str
    reason: Optional[str] = None
    output: Optional[str] = None
    truncated: int = 0
    changed: bool = False

    @property
    def quiet(self) -> bool:
        """Whether every step was as it should be: nothing done, nothing wrong, nothing left out, nothing to prune."""
        well = self.status == "Success" and not (self.changed or self.truncated)
        return well and all(claim.outcome == "Unchanged" and claim.step != PRUNE for claim in self.claims)


def failed(at: str, reason: str) -> RunResult:
    """What came of a look that came to none of its steps."""
    return RunResult("Failed", [], at, at, reason)


def fitted(claims: List[ClaimReport], output: str, room: int = _ROOM) -> Tuple[List[ClaimReport], Optional[str], int]:
    """(claims, output, how much was left out): diffs go first, then claims that are as they should be."""
    output = _shortened(output)
    if _WORST * (len(output) + sum(_characters(claim) for claim in claims)) <= room:
        return claims, output or None, 0
    room -= len(canonical(output))
    sizes = [len(canonical(to_wire(claim))) + 1 for claim in claims]
    excess, left_out = sum(sizes) - room, 0
    kept: List[Optional[ClaimReport]] = list(claims)
    for at in reversed(range(len(claims))):
        if excess > 0 and claims[at].diff:
            kept[at] = dataclasses.replace(claims[at], diff=None)
            excess -= sizes[at] - len(canonical(to_wire(kept[at]))) - 1
            sizes[at] = len(canonical(to_wire(kept[at]))) + 1
            left_out += 1
    for uninteresting in (True, False):
        for at in reversed(range(len(claims))):
            if excess > 0 and kept[at] is not None and (claims[at].outcome == "Unchanged") == uninteresting:
                kept[at] = None
                excess -= sizes[at]
                left_out += 1
    return [claim for claim in kept if claim is not None], output or None, left_out


def _shortened(output: str) -> str:
    if len(output) <= OUTPUT_LIMIT:
        return output
    half = OUTPUT_LIMIT // 2 - 30
    return "%s\n... %d characters left out ...\n%s" % (output[:half], len(output) - 2 * half, output[-half:])


def _characters(claim: ClaimReport) -> int:
    texts = (claim.claim, claim.step, claim.before, claim.after, claim.reason, claim.diff)
    return 20 + sum(len(text) for text in texts if text)
