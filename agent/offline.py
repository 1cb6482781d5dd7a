"""One pass over what the node holds, without a server: `once --offline`, and `once --dry-run`, which only looks.

What the held set allows is allowed, as it is between two contacts of an agent that serves. Reports wait in the journal
for the next connection; a dry run keeps none, and writes nothing.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Iterator

import agent
from agent.clock import Clock, SystemClock
from agent.contract.wire import ClaimReport
from agent.itself import ThisAgent
from agent.rounds import standing
from agent.rounds.bench import local_bench, local_host
from agent.rounds.rounds import Rounds
from agent.rounds.telling import Telling
from agent.state import identity
from agent.state.node import open_node
from agent.state.status import StatusFile


def offline(state: str, root: str = "/", runs_scripts: bool = False) -> int:
    """Converge what is held; 0 where all of it is as it should be. Raises as `node.open_node` does."""
    with rounds(state, root, runs_scripts, SystemClock()) as made:
        made.run_due(_never)
        standing.keep(state, standing.surroundings(state, root, agent.__version__), made.quiet_reads())
    return 0 if all(status in ("Success", "Skipped") for status in made.statuses.values()) else 1


def dry_run(state: str, root: str = "/", runs_scripts: bool = False) -> int:
    """Say what a pass would change; 0 where that is nothing, else 1."""
    with rounds(state, root, runs_scripts, SystemClock(), dry=True) as made:
        results = made.foreseen()
    code = 0
    for uid, result in sorted(results.items()):
        for claim in result.claims:
            if claim.outcome in ("Unchanged", "Skipped"):
                continue
            code = 1
            sys.stdout.write("%s  %s  %s\n" % (uid, claim.claim, _said(claim)))
            if claim.diff:
                sys.stdout.write("    %s\n" % claim.diff.replace("\n", "\n    "))
    return code


@contextlib.contextmanager
def rounds(state: str, root: str, runs_scripts: bool, clock: Clock, *, dry: bool = False) -> Iterator[Rounds]:
    """Rounds that tell nobody but the journal."""
    boot_id = identity.boot_id()
    node = open_node(state, clock, boot_id)
    try:
        bench = local_bench(state, local_host(state, root, runs_scripts=runs_scripts), boot_id, dry=dry)
        bench = bench._replace(itself=ThisAgent(node, state, visited=False))
        yield Rounds(node, bench, Telling(node, StatusFile(state, "results.json"), _nobody), _nobody)
    finally:
        node.journal.close()


def _said(claim: ClaimReport) -> str:
    if claim.outcome == "Drifted":
        return "%s -> %s" % (claim.before, claim.after)
    return "%s: %s" % (claim.outcome, claim.reason)


def _nobody() -> None:
    """There is no link to be told."""


def _never() -> bool:
    return False
