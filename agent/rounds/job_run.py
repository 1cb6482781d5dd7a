"""One job, from what is on disk of it to its report.

Beside the rounds: a script takes no turn, for it owns nothing that a round looks at; a step that holds something waits
until no association is being looked at, is refused what an association on this node owns, and is forgotten afterwards:
nothing heals or prunes what a job made. A job that was begun by another agent is begun again: what the journal has of
its scripts is recalled, and the rest is looked at.
"""

from __future__ import annotations

import os
from typing import Any, Callable, List, Mapping, Optional, Sequence

from agent.contract import ephemeral
from agent.contract.causes import ASSIGNED
from agent.contract.claims import Claim
from agent.contract.codec import to_wire
from agent.contract.inputs import ACTIONS
from agent.contract.record import NamedTuple
from agent.contract.wire import Body, BodyStep, NodeContext
from agent.host.port import Host
from agent.rounds import look as looking
from agent.rounds.claimants import claimants
from agent.rounds.documents import Document, no_document
from agent.rounds.exclusion import Turn
from agent.rounds.given import given_of
from agent.rounds.ledger import Ledger
from agent.rounds.look import Look, is_run
from agent.rounds.restarts import Restarts
from agent.rounds.runner import Run
from agent.rounds.runs import ATTEMPTS, Journal, Runs
from agent.state.journal import RunKey
from agent.steps.step import Given, Itself, State

GENERATION = 1
"""A job has no other."""


class Bed(NamedTuple):
    """What a job's steps are run in. `held` are the bodies of the node's associations; `blob` gives bytes by digest.

    `debts` is the file that remembers which restarts the job owes; `downloads` is the job's own directory for what it
    downloads, as the host knows it; `document` gives the steps of documents that are on this node alone.
    """

    host: Host
    journal: Journal
    boot_id: str
    context: NodeContext
    facts: Mapping[str, Any]
    held: List[Body]
    blob: Callable[[str], bytes]
    debts: str
    turn: Turn
    downloads: str = ""
    document: Document = no_document
    keeps_nothing: bool = False
    itself: Optional[Itself] = None


class _Debts(Ledger):
    """Of a job: which services are still to be restarted for what it changed. What it made is nobody's."""

    def intend(self, uid: str, action: str, claim: Claim, prior: State) -> None:
        """Nothing is kept of what was there before."""


def refused(body: Body, bed: Bed) -> str:
    """Why nothing of a body is run here; empty where it may be."""
    reason = ephemeral.refusal(to_wire(body)) if bed.keeps_nothing else ""
    return "%s: %s" % (ephemeral.WORD, reason) if reason else ""


def run(uid: str, body: Body, bed: Bed, environment: Mapping[str, str], stopped: Callable[[], str]) -> List[Look]:
    """All steps of a body, once, as far as nothing stops them; never raises for a bad step.

    Of a body whose mode is `AuditOnly` nothing is done: the looks say what would be.
    """
    import dataclasses

    ours = dataclasses.replace(body, uid=uid, prune=False)
    ledger = _Debts(bed.debts)
    once = Run(
        host=bed.host,
        body=ours,
        ledger=ledger,
        given=dataclasses.replace(
            given_of(ours, bed.context, bed.facts, bed.blob, environment, downloads=bed.downloads, itself=bed.itself),
            stopped=stopped,
        ),
        held=claimants([*bed.held, ours]),
        runs=Runs(bed.host, bed.journal, ours, GENERATION, "", bed.boot_id),
        restarts=Restarts(ours, ledger),
        cause=ASSIGNED,
        allowed=True,
        left_alone=frozenset(),
        turn=bed.turn,
        stopped=stopped,
        document=bed.document,
        owners=lambda grown: claimants([*bed.held, grown]),
    )
    once.to_its_end()
    return once.looks


def executions(uid: str, step: BodyStep) -> List[str]:
    """The names that the attempts at a step may have been run under, in order."""
    keys = (RunKey(uid, GENERATION, "", step.name, attempt) for attempt in range(1, ATTEMPTS + 1))
    return [key.execution for key in keys]


def outputs(runs: str, uid: str, step: BodyStep, stream: str) -> List[str]:
    """The files below `runs` that hold what the attempts at a step wrote to a stream."""
    paths = [os.path.join(runs, name, stream) for name in executions(uid, step)]
    return [path for path in paths if os.path.exists(path)]


def said_by(steps: Sequence[BodyStep]) -> List[BodyStep]:
    """Those of the steps whose output is streamed."""
    return [step for step in steps if step.action in ACTIONS and is_run(step)]


def left_out(step: BodyStep, reason: str) -> Look:
    """A step of which nothing is begun."""
    given = Given("", {}, {}, {}, content=_nothing)
    look = looking.begun(step, given)
    look.skip(reason)
    return look


def _nothing(source: str) -> bytes:
    raise LookupError(source)
