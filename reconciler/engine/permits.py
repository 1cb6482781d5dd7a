"""Permits for runs: the gate's count of who may begin one now. `maxConcurrency` and `maxErrors` bind every run by it.

Values in, a decision out. Whoever asks waits in order; a run is made on nobody else once too many nodes failed at it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from agent.contract.canonical import instant, milliseconds
from agent.contract.schedule import BadSchedule, next_after
from reconciler.core import nodeset, rate
from reconciler.core.permits import NO_PERMITS, Begun, Run
from reconciler.engine import gate
from reconciler.engine.leave import longest_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.capabilities.nodes.association import AssociationSpec, Compiled
    from reconciler.core.permits import Permits
    from reconciler.core.world import Columns, Release, World

AHEAD = 60_000
"""Milliseconds that a node's clock may be ahead of the server's."""


class Request(NamedTuple):
    """A node (by its bit) that waits for the permit of a run."""

    bit: int
    run: Run


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of those that wait: permits by bit, reasons why a run is never made, and why the others wait."""

    granted: Mapping[int, Begun] = field(default_factory=dict)
    over: Mapping[int, str] = field(default_factory=dict)
    waits: str = ""


def decide(
    spec: AssociationSpec, compiled: Compiled, world: World, queue: Iterable[Request], at: int, frozen: str = ""
) -> Decision:
    """Work off a queue, first come first served, for as long as there is room; who comes after that waits.

    `at` is Unix milliseconds. Costs what is granted or refused, not what waits.
    """
    if frozen:
        return Decision(waits=frozen)
    permits = world.permits.get(compiled.uid, NO_PERMITS)
    targets = nodeset.size(world.of(compiled.uid).anywhere)
    limit = rate.concurrency(spec.max_concurrency, targets)
    room = limit - permits.under_way(at)
    stopped = exceeded(spec, permits, targets)
    latest = instant(at + AHEAD)
    expires_at = at + longest_run(compiled.body) * 1000
    granted: dict[int, Begun] = {}
    over: dict[int, str] = {}
    waits = ""
    for bit, run in queue:
        begun = permits.out.get(bit)
        out = begun is not None and begun.expires_at > at
        if begun is not None and out and begun.run == run:
            granted[bit] = begun
        elif reason := _never(spec, compiled, world, Request(bit, run), latest, stopped):
            over[bit] = reason
        elif reason := _not_yet(compiled, world, run, latest):
            waits = reason
        elif room > 0 or out:  # who asks for another run is not at the one before any more
            granted[bit] = Begun(run, at, expires_at)
            room -= not out
        else:
            waits = f"maxConcurrency {spec.max_concurrency or rate.DEFAULT_CONCURRENCY}: {limit} of {targets} at once"
            if not stopped:
                break
    return Decision(granted, over, waits)


def exceeded(spec: AssociationSpec, permits: Permits, targets: int) -> str:
    """Why the newest run of a schedule is made on nobody else; empty where it goes on."""
    failed, allowed = nodeset.size(permits.failed), rate.errors(spec.max_errors, targets)
    return f"maxErrors: failed on {failed} of {targets} nodes, maxErrors allows {allowed}" if failed > allowed else ""


def _never(spec: AssociationSpec, compiled: Compiled, world: World, request: Request, latest: str, stopped: str) -> str:
    """Why this run is not made on this node. `stopped` is why the newest run of the schedule is made on nobody else."""
    bit, run = request
    permits = world.permits.get(compiled.uid, NO_PERMITS)
    release = world.releases.get(compiled.uid)
    if release is None or not _has(world.of(compiled.uid), bit, run.generation, release):
        return "the node does not have this"
    if not run.instant:
        return ""
    expression = spec.schedule_expression if run.generation == release.generation else None
    if not _of_schedule(expression, run.instant):
        return "the schedule has no such run"
    if run.instant < permits.instant:
        return f"the run at {permits.instant} has begun since"
    if run.instant > min(permits.instant, latest):
        return ""
    return "the node has made this run" if permits.done >> bit & 1 else stopped


def _not_yet(compiled: Compiled, world: World, run: Run, latest: str) -> str:
    """What is to be waited for besides a place. `latest` is the last instant that may have come."""
    if run.instant > latest:
        return f"it is not {run.instant} yet: the node's clock is ahead"
    release = world.releases.get(compiled.uid)
    if release is None or run.instant or run.generation < release.generation:
        return ""
    return gate.suspended(world, compiled.uid, release.body_digest)


def _has(columns: Columns, bit: int, generation: int, release: Release) -> bool:
    """Whether a node may be at a run of this generation: whoever was given the newest is at no other."""
    if columns.on(release.body_digest) >> bit & 1:
        return generation == release.generation
    return generation < release.generation and bool(columns.anywhere >> bit & 1)


@lru_cache(maxsize=1024)
def _of_schedule(expression: str | None, text: str) -> bool:
    """Whether an instant is one of a schedule; of one that is not known any more, any may be."""
    try:
        at = milliseconds(text)
        return expression is None or next_after(expression, at - 1) == at
    except (ValueError, BadSchedule):
        return False
