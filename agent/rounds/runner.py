"""Convergence: look, compare, act where that is allowed, look again; in order, over all steps of one association.

Before anything is changed, the ledger and the journal know of it. A look that finds nothing to do writes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import field
from typing import Any, Callable, ContextManager, FrozenSet, List, Mapping, Optional, Sequence

from agent.contract.canonical import instant
from agent.contract.causes import ASSIGNED
from agent.contract.claims import unsafe_path
from agent.contract.codec import not_fields
from agent.contract.record import dataclass
from agent.contract.wire import Body, BodyStep, ClaimReport, NodeContext
from agent.host.port import Host
from agent.log import WARNING, log
from agent.rounds import claimants as owners
from agent.rounds import documents, order, permission
from agent.rounds import look as looking
from agent.rounds.claimants import Claimants
from agent.rounds.documents import Document
from agent.rounds.exclusion import AnyTurn, Turn
from agent.rounds.given import given_of
from agent.rounds.ledger import Ledger, prune
from agent.rounds.look import Look, is_run, left_out_by
from agent.rounds.outcome import RunResult, failed
from agent.rounds.preconditions import unmet
from agent.rounds.restarts import Restarts
from agent.rounds.runs import Journal, Runs
from agent.rounds.standing import Seen
from agent.rounds.verdict import result_of
from agent.steps.registry import BATCHES, RESTORABLE, SCRIPTS, STEPS
from agent.steps.rendering import rendered
from agent.steps.step import (
    Applied,
    Given,
    InvalidPlatform,
    Itself,
    Planned,
    StepFailed,
    defect,
    why,
)

FORESEEN = "Foreseen"
"""The cause of a look that nobody is told of: it waits for no run that goes on, and accounts for none."""


def converge(
    host: Host,
    body: Body,
    context: NodeContext,
    facts: Mapping[str, Any],
    journal: Journal,
    ledger: Ledger,
    *,
    generation: int,
    cause: str,
    run_instant: str,
    boot_id: str,
    blob: Callable[[str], bytes],
    apply: bool = True,
    environment: Optional[Mapping[str, str]] = None,
    claimants: Optional[Claimants] = None,
    left_alone: FrozenSet[str] = frozenset(),
    seen: Optional[Seen] = None,
    render: Callable[[str, str], str] = rendered,
    downloads: str = "",
    itself: Optional[Itself] = None,
) -> RunResult:
    """Makes one association true on this node, as far as its mode and `apply` allow; never raises for a bad step.

    `run_instant` names the run that scripts are at: empty for the one run of a generation, else an instant of its
    schedule. `blob` gives bytes by digest (LookupError where they are not here). `environment` is told to scripts.
    `claimants` are those of all bodies that the node holds, by default of this one alone. Claims in `left_alone` (as
    text) are looked at and not put right. `seen` takes note of what is read of the node. `render` renders a template
    over a context, both texts. `downloads` is the run's own directory for what it downloads, `itself` the agent, where
    steps may ask it for something.
    """
    return Run(
        host=host,
        body=body,
        ledger=ledger,
        given=given_of(body, context, facts, blob, environment or {}, render, downloads, itself),
        held=claimants if claimants is not None else owners.only(body),
        runs=Runs(host, journal, body, generation, run_instant, boot_id),
        restarts=Restarts(body, ledger),
        cause=cause,
        allowed=apply,
        left_alone=left_alone,
        seen=seen,
    ).to_its_end()


@dataclass(frozen=False)
class Run:
    """One body's, from its first step to its last.

    `turn` is taken for each step that holds something; `stopped` says why no further step is begun, empty while they
    are; `document` gives the steps of a document that is on this node alone, and `owners` who holds what once it is
    known.
    """

    host: Host
    body: Body
    ledger: Ledger
    given: Given
    held: Claimants
    runs: Runs
    restarts: Restarts
    cause: str
    allowed: bool
    left_alone: FrozenSet[str]
    seen: Optional[Seen] = None
    turn: Turn = field(default_factory=AnyTurn)
    stopped: Callable[[], str] = str
    looks: List[Look] = field(default_factory=list)
    ended_by: Optional[Look] = None
    document: Document = documents.no_document
    owners: Callable[[Body], Claimants] = owners.only

    def to_its_end(self) -> RunResult:
        started_at = instant(self.host.now())
        foreign = not_fields(BodyStep, not_fields(Body, self.body.must_understand))
        if foreign:
            reason = "Unsupported: this agent does not understand %s; upgrade it" % ", ".join(foreign)
            return failed(started_at, reason)
        order.take(self, [step for step in self.body.steps if not step.within])
        pruned: List[ClaimReport] = []
        if self.body.prune:
            changing = self.allowed and self._may_correct()
            pruned = prune(self.host, self.ledger, self.body.uid, self.held.claims, apply=changing)
        if self.allowed:
            self.restarts.forget_others()
        try:
            self.ledger.save()
        except OSError as error:  # it has what it must have, from before each change; the rest waits in memory
            log(WARNING, "what %s made cannot all be written down yet: %s", self.body.uid, why(error))
        return result_of(self.looks, pruned, started_at, instant(self.host.now()))

    # What `order` asks for

    def steps_within(self, step: BodyStep) -> List[BodyStep]:
        found = [one for one in self.body.steps if one.within == step.name]
        if not found:
            fetched = self.document(step, documents.depth(self.body, step), self.given)
            self.body = documents.with_steps(self.body, step, fetched)
            self.held = self.owners(self.body)
            self.restarts.add(fetched)
            found = [one for one in fetched if one.within == step.name]
        return found

    def entered(self, step: BodyStep) -> Look:
        look = looking.begun(step, self.given)
        look.began = look.ended = instant(self.host.now())
        if self.ended_by:
            look.skip(left_out_by(self.ended_by))
        elif not look.problem:
            look.skip(unmet(step, self.host))
            if documents.is_local(step) and self.body.mode == "AuditOnly":
                look.skip("would run the document %s of this node" % step.inputs["documentPath"])
        self.looks.append(look)
        return look

    def take_turn(self, batch: Sequence[BodyStep]) -> None:
        began, first = instant(self.host.now()), len(self.looks)
        reason = self.stopped()
        if reason and not self._begun(batch[0]):
            self.leave_out(batch, reason)
        elif is_run(batch[0]):
            self._do(batch)
        else:
            with self.turn:
                self._do(batch)
        ended = instant(self.host.now())
        for look in self.looks[first:]:
            look.began, look.ended = began, ended

    def _begun(self, step: BodyStep) -> bool:
        """Whether the step is a script that was begun, and so has to be accounted for."""
        return is_run(step) and (self.runs.recalled(step) is not None or self.runs.under_way(step))

    def leave_out(self, batch: Sequence[BodyStep], reason: str) -> None:
        for step in batch:
            look = looking.begun(step, self.given)
            look.skip(reason)
            self.looks.append(look)

    def _do(self, batch: Sequence[BodyStep]) -> None:
        looks: List[Look] = []
        with self._looking_at(batch[0]):
            for step in batch:
                if self.ended_by or (looks and looks[-1].ends):
                    break
                looks.append(self._look(step))
        due = [look for look in looks if look.changes and not look.tried and self._to_be_done(look)]
        for look in due:
            look.problem = permission.refusal(self.host, look.step)
        due = [look for look in due if not look.problem]
        if due:
            self._apply(due)
        for look in looks:
            self._remember(look)
        self.looks += looks
        self.ended_by = self.ended_by or next((look for look in looks if look.ends), None)
        if len(looks) < len(batch):
            self.leave_out(batch[len(looks) :], left_out_by(self.ended_by))

    # Looking

    def _looking_at(self, first: BodyStep) -> ContextManager[None]:
        """Around looks at a batch, one after the other: these only read, and mostly in the same few directories."""
        return self.host.walking_once() if first.action in BATCHES else contextlib.nullcontext()

    def _look(self, step: BodyStep) -> Look:
        environment = {**self.given.environment, **step.environment} if step.environment else self.given.environment
        look = looking.begun(step, dataclasses.replace(self.given, step=step.name, environment=environment))
        reason = unmet(step, self.host)
        if reason:
            look.skip(reason)
        if look.skipped or look.problem:
            return look
        try:
            self._refuse(look)
            self._take_up(look)
            if look.skipped:
                return look
            self._recall(look)
            changed = self.restarts.changed(step, self.looks)
            if changed:
                look.given = dataclasses.replace(look.given, changed=changed)
            if look.applied:
                self._look_again(look)
            else:
                self._see(look)
                look.changes = look.left
        except InvalidPlatform as error:
            look.skip("InvalidPlatform: %s" % error)
        except StepFailed as error:
            look.problem, look.rc, look.output = error, error.rc, error.output
        except OSError as error:
            look.problem, look.unseen = permission.failed(self.host, error), True
        except Exception as error:  # a defect in one step must not stop the others
            look.problem = StepFailed(defect(error))
        return look

    def _refuse(self, look: Look) -> None:
        reason = self.held.refused.get((self.body.uid, look.step.name))
        for claim in look.claims:
            unsafe = unsafe_path(claim.name) if claim.kind == "path" else None
            if unsafe:
                reason = "path %s cannot be managed: %s" % (claim.name, unsafe)
        if reason:
            raise StepFailed(reason)

    def _take_up(self, look: Look) -> None:
        """What an earlier agent began and did not see the end of is awaited, and told as if it had just been done.

        A script's run that a newer one has taken the place of is awaited too, and told to nobody.
        """
        step = SCRIPTS.get(look.step.action)
        if step is not None and self.cause == FORESEEN:
            if self.runs.under_way(look.step):
                look.skip("it was begun, and is not accounted for yet")
            return
        for key, ran in self.runs.taken_up(look.step) if step is not None else ():
            assert step is not None
            applied, failure = Applied(), None
            try:
                applied = step.outcome(look.desired, ran)
            except StepFailed as error:
                failure, applied = error, Applied(error.output, error.rc)
            current = not is_run(look.step) or key == self.runs.key(look.step)
            failure = self.runs.end(key, applied.rc, failure)
            if current:
                look.changes, look.applied = step.underway(look.desired, look.given), True
                look.problem, look.output, look.rc = failure, applied.output, applied.rc

    def _recall(self, look: Look) -> None:
        if is_run(look.step):
            recalled = self.runs.recalled(look.step)
            look.given = dataclasses.replace(look.given, recalled=recalled)
            if recalled is not None and len(recalled) == 3:
                look.rc = recalled[1]

    def _see(self, look: Look) -> None:
        step = STEPS[look.step.action]
        host = self.host if self.seen is None else self.seen.through(self.host)
        look.observed = step.observe(host, look.desired, look.given)
        look.left = step.changes(look.desired, look.observed, look.given)

    # Acting

    def _to_be_done(self, look: Look) -> bool:
        return self._permitted(look.step) and self.left_alone.isdisjoint(map(str, look.claims))

    def _permitted(self, step: BodyStep) -> bool:
        if not self.allowed or self.body.mode == "AuditOnly":
            return False
        return is_run(step) or self._may_correct()

    def _may_correct(self) -> bool:
        if self.body.mode == "ApplyAndMonitor":
            return self.cause == ASSIGNED
        return self.body.mode == "ApplyAndAutoCorrect"

    def _apply(self, due: List[Look]) -> None:
        """Ledger, journal, the changes, journal; then every step that was tried is looked at again."""
        key, begun = self.runs.key(due[0].step), []
        for look in due:
            look.given = dataclasses.replace(look.given, execution=key.execution)

        def begin() -> None:
            self.runs.begin(key)
            begun.append(key)

        results = self._attempt(due, begin)
        if begun:
            failure = next((result for result in results if result), None)
            told = self.runs.end(key, failure.rc if failure else due[0].rc, failure)
            results = [told if result is failure else result for result in results]
        results = [permission.told(self.host, result) for result in results]
        with self._looking_at(due[0].step):
            for look, failure in zip(due, results):
                look.applied, look.problem = True, failure
                if failure is None and look.given.changed:
                    look.given = dataclasses.replace(look.given, changed=frozenset())
                self._look_again(look)
                self.restarts.after(look)
        for look in due[len(results) :]:
            look.skip(left_out_by(due[len(results) - 1]))

    def _attempt(self, due: List[Look], begin: Callable[[], None]) -> List[Optional[StepFailed]]:
        """One result for each that was tried. Only steps that are done in batches come in numbers."""
        action = due[0].step.action
        try:
            self._intend(due)
            if action in BATCHES:
                ends = [look.step.on_failure != "continue" for look in due]
                planned = [Planned(look.desired, look.changes, look.given, end) for look, end in zip(due, ends)]
                return BATCHES[action].apply_all(self.host, planned, begin)
            (look,) = due
            if action in SCRIPTS:
                SCRIPTS[action].stage(self.host, look.desired, look.given)
            begin()
            look.output, look.rc = STEPS[action].apply(self.host, look.desired, look.changes, look.given)
            return [None]
        except StepFailed as error:
            due[0].output, due[0].rc = error.output, error.rc
            return [error]
        except OSError as error:
            return [permission.failed(self.host, error) for _ in due]
        except Exception as error:
            return [StepFailed(defect(error)) for _ in due]

    def _intend(self, due: List[Look]) -> None:
        for look in due:
            self.restarts.before(look)
            step = RESTORABLE.get(look.step.action)
            if step is not None:
                for change in look.changes:
                    prior = step.state(look.observed, change.claim)
                    self.ledger.intend(self.body.uid, look.step.action, change.claim, prior)
        self.ledger.save()

    def _look_again(self, look: Look) -> None:
        look.observed, problem = None, None
        if is_run(look.step):
            look.given = dataclasses.replace(look.given, recalled=self.runs.recalled(look.step))
        try:
            self._see(look)
            if look.left:
                still = look.left[0]
                problem = StepFailed("it was applied, and is still %s (wanted: %s)" % (still.before, still.after))
        except (StepFailed, InvalidPlatform) as error:
            problem = StepFailed(str(error))
        except OSError as error:
            problem = StepFailed("what came of it cannot be seen: %s" % why(error))
        except Exception as error:
            problem = StepFailed(defect(error))
        look.problem = look.problem or problem

    def _remember(self, look: Look) -> None:
        """Tells the ledger whose the step's claims are, and what this or an earlier run left there."""
        if not (look.left or look.problem or look.skipped) and self._permitted(look.step):
            self.restarts.settle(look.step)
        step = RESTORABLE.get(look.step.action)
        if step is None or look.observed is None:
            return
        for claim in look.claims:
            self.ledger.adopt(self.body.uid, claim)
            if self.ledger.incomplete(claim):
                self.ledger.complete(claim, step.state(look.observed, claim))
