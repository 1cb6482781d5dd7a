"""One step in one run: what was found, what was done, how that ended, and how it is told."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, Iterator, List, Optional, Sequence

from agent.contract.claims import Claim, claims_of
from agent.contract.codec import Malformed
from agent.contract.inputs import action_of
from agent.contract.record import dataclass
from agent.contract.wire import BodyStep, ClaimReport
from agent.rounds.claimants import inputs_of
from agent.steps.execution import ends_document
from agent.steps.registry import unsupported
from agent.steps.step import Change, Given, RebootWanted, StepFailed

_DESCRIPTION_LIMIT = 300
_REASON_LIMIT = 1000


@dataclass(frozen=False)
class Look:
    """`changes` are what differed at first, `left` what differs now.

    `problem` says why the step failed (`unseen`: because the node could not be read), `skipped` why it was not tried.
    `began` and `ended` are instants.
    """

    step: BodyStep
    given: Given
    claims: List[Claim]
    desired: Any = None
    observed: Any = None
    changes: List[Change] = field(default_factory=list)
    left: List[Change] = field(default_factory=list)
    problem: Optional[StepFailed] = None
    unseen: bool = False
    skipped: str = ""
    applied: bool = False
    rc: int = 0
    output: str = ""
    began: str = ""
    ended: str = ""

    @property
    def tried(self) -> bool:
        """Whether it is known already what comes of its changes."""
        return self.applied or self.problem is not None

    @property
    def ends(self) -> bool:
        """Whether the steps that follow are left out."""
        if is_run(self.step) and ends_document(self.rc):
            return True
        if isinstance(self.problem, RebootWanted):
            return True
        if self.problem is None:
            return self.step.on_success == "exit" and not self.skipped
        return self.step.on_failure != "continue"

    @property
    def fails(self) -> bool:
        """Whether the document of the step fails by it."""
        if isinstance(self.problem, RebootWanted):
            return True
        return self.problem is not None and self.step.on_failure != "successAndExit"

    @property
    def fails_run(self) -> bool:
        """Whether the run does. A document within another one has its say by the step that runs it."""
        return self.fails and not self.step.within

    def skip(self, reason: str) -> None:
        """The step is not tried, whatever is wrong with it."""
        self.skipped, self.problem = reason, None


def is_run(step: BodyStep) -> bool:
    """Whether the step is run, once, instead of held."""
    action = action_of(step.action)
    return action is not None and not action.declarative


def begun(step: BodyStep, given: Given) -> Look:
    """A look whose inputs are read; a step that owns nothing, or cannot be read, is spoken of by its name."""
    look = Look(step, given, [Claim("script", step.name)])
    reason = unsupported(step.action, step.version)
    if reason:
        look.problem = StepFailed(reason)
        return look
    try:
        look.desired = inputs_of(step)
        look.claims = list(dict.fromkeys(claims_of(step.action, look.desired))) or look.claims
    except Malformed as error:
        look.problem = StepFailed("its inputs are malformed: %s" % error)
    return look


def left_out_by(ended: Optional[Look]) -> str:
    """Why a step was left out that comes after one which ended its document."""
    assert ended is not None
    return "left out: step %s %s" % (ended.step.name, "failed" if ended.problem else "ended the document")


def reports(look: Look) -> Iterator[ClaimReport]:
    """One for each claim of the step."""
    changes: Dict[Claim, Change] = {change.claim: change for change in look.changes}
    for claim in look.claims:
        yield _report(look, claim, changes.get(claim))


def output(looks: Sequence[Look]) -> str:
    """What the scripts of a run said; named by step where several did."""
    said = [look for look in looks if look.output]
    if len(said) == 1:
        return said[0].output
    return "\n".join("[%s]\n%s" % (look.step.name, look.output.rstrip("\n")) for look in said)


def _report(look: Look, claim: Claim, change: Optional[Change]) -> ClaimReport:
    name, text = look.step.name, str(claim)
    reason = _short(look.problem.reason, _REASON_LIMIT) if look.problem else None
    if look.skipped:
        return ClaimReport(text, name, "Skipped", reason=look.skipped)
    if change is None:
        if look.problem is None or look.changes:
            return ClaimReport(text, name, "Unchanged")
        return ClaimReport(text, name, "Unknown" if look.unseen else "Failed", reason=reason)
    outcome = _outcome(look, claim)
    told = reason if outcome == "Failed" else None
    return ClaimReport(text, name, outcome, _short(change.before), _short(change.after), told, change.diff or None)


def _short(text: str, limit: int = _DESCRIPTION_LIMIT) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _outcome(look: Look, claim: Claim) -> str:
    """Of a claim that differed. Where a step of several claims failed, those that came right were changed."""
    if not look.applied:
        return "Failed" if look.problem else "Drifted"
    came_right = len(look.changes) > 1 and claim not in {still.claim for still in look.left}
    return "Failed" if look.problem and not came_right else "Changed"
