"""In which order the steps of a body are taken: batches, what runs last whatever happened, documents within documents.

A document that a step runs is a whole of its own: what ends it ends nothing else, and what it came to is what the step
came to.
"""

from __future__ import annotations

from typing import List, Optional, Protocol, Sequence

from agent.contract.wire import Body, BodyStep
from agent.rounds.batches import batches
from agent.rounds.documents import all_within
from agent.rounds.look import Look, left_out_by
from agent.rounds.verdict import heaviest
from agent.steps.execution import ends_document
from agent.steps.step import RebootWanted, StepFailed

RUN_DOCUMENT = "aws:runDocument"


class Run(Protocol):
    """What of a run taking its steps needs. `ended_by` is the look after which what follows is left out."""

    body: Body
    looks: List[Look]
    ended_by: Optional[Look]

    def steps_within(self, step: BodyStep) -> Sequence[BodyStep]:
        """The steps of the document that a step runs. Raises `StepFailed` where there is no such document."""

    def take_turn(self, batch: Sequence[BodyStep]) -> None:
        """Look at these steps and do what they ask for; or leave them out, where something ended the document."""

    def leave_out(self, batch: Sequence[BodyStep], reason: str) -> None:
        """Say of these steps that they were left out."""

    def entered(self, step: BodyStep) -> Look:
        """A look at a step that runs a document, among the others; skipped where it is left out."""


def take(run: Run, steps: Sequence[BodyStep]) -> None:
    """All steps of one document."""
    for batch in batches([step for step in steps if not step.finally_step]):
        _take(run, batch)
    for step in steps:
        if step.finally_step and not _goes_on(run):
            run.ended_by = None
            _take(run, [step])


def _take(run: Run, batch: Sequence[BodyStep]) -> None:
    if batch[0].action == RUN_DOCUMENT:
        _run_document(run, batch[0])
    else:
        run.take_turn(batch)


def _run_document(run: Run, step: BodyStep) -> None:
    before, look = run.ended_by, run.entered(step)
    if look.skipped or look.problem:
        reason = look.skipped or left_out_by(look)
        run.leave_out(all_within(run.body, step), reason)
        run.ended_by = before or (look if look.ends else None)
        return
    first = len(run.looks)
    try:
        take(run, run.steps_within(step))
        look.problem = _came_to(run.looks[first:])
    except StepFailed as error:
        look.problem = error
    look.rc = look.problem.rc if look.problem else 0
    inner = run.looks[first:]
    if inner and all(one.skipped for one in inner):
        look.skip(inner[0].skipped)
    look.ended = inner[-1].ended if inner else look.ended
    run.ended_by = look if look.ends else None


def _came_to(looks: Sequence[Look]) -> Optional[StepFailed]:
    """What is told of a document by its steps; those of documents within it have told it by the step that runs them."""
    outermost = [look for look in looks if look.step.within == looks[0].step.within]
    worst = heaviest([look for look in outermost if look.fails])
    if worst is None or worst.problem is None or isinstance(worst.problem, RebootWanted):
        return worst.problem if worst is not None else None
    problem = worst.problem
    rc = 1 if ends_document(problem.rc) else problem.rc
    return StepFailed("%s: %s" % (worst.step.name, problem.reason), rc=rc, status=problem.status)


def _goes_on(run: Run) -> bool:
    """Whether the run goes on after a reboot: this is not its end yet."""
    return run.ended_by is not None and isinstance(run.ended_by.problem, RebootWanted)
