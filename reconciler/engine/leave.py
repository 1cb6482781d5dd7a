"""The gate's word in advance: what nodes may do alone with an association, as it is written into their sets.

A permit is required where runs of a schedule are limited: then every run is counted, not only the first delivery.
"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.contract.inputs import action_of
from agent.contract.inputs.content import LOCAL_SECONDS
from agent.contract.schedule import next_after
from reconciler.core.records import LeaveRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.capabilities.nodes.association import AssociationSpec
    from reconciler.capabilities.nodes.fleet import FleetSpec
    from reconciler.engine.catalog import Catalog

SPLAY = 60
"""Seconds over which nodes spread a run at most; a tenth of the time between two runs where that is less."""
HORIZON = 60 * 86_400_000
"""Milliseconds ahead to which nodes are told what they may do alone."""
RENEWED_WITHIN = 35 * 86_400_000
"""Milliseconds before the horizon at which it is moved on: more than a set may be acted on after the last contact."""
_SAMPLE = 1_767_225_600_000
"""An instant from which the distance between runs is measured; any would do."""
BEGIN_WITHIN = 60
"""Seconds in which a permitted run has to begin."""
GRACE = 600
"""Seconds that a run may take beyond the limits of its scripts: for steps that have none, and for the report."""


def leaves(catalog: Catalog) -> Iterator[LeaveRow]:
    """What the commit allows, by association."""
    for uid, compiled in catalog.compiled.items():
        spec: AssociationSpec = catalog.resources[uid].spec
        yield leave(uid, spec, catalog.fleet, runs=bool(compiled.runs))


def leave(uid: str, spec: AssociationSpec, fleet: FleetSpec, *, runs: bool) -> LeaveRow:
    """What is allowed with one association. `runs`: whether it has steps that run rather than hold something."""
    expression = spec.schedule_expression
    scheduled = expression is not None and runs and spec.mode != "AuditOnly"
    limited = spec.max_concurrency is not None or spec.max_errors is not None
    splay = _splay(expression) if expression is not None and scheduled else 0
    return LeaveRow(uid, "required" if scheduled and limited else "none", splay, fleet.agent.heal_budget)


@lru_cache(maxsize=1024)
def _splay(expression: str) -> int:
    instants = [_SAMPLE]
    for _ in range(4):
        following = next_after(expression, instants[-1])
        if following is not None:
            instants.append(following)
    gaps = [later - earlier for earlier, later in pairwise(instants[1:])]
    return min(SPLAY, min(gaps, default=0) // 10_000)


@lru_cache(maxsize=1024)
def longest_run(body: bytes) -> int:
    """Seconds after which a permit for a run of this body counts no more, though nothing was heard of the run."""
    return BEGIN_WITHIN + GRACE + sum(_limits(body))


def _limits(body: bytes) -> Iterator[int]:
    for step in json.loads(body)["steps"]:
        action = action_of(step["action"])
        if step["inputs"].get("documentType") == "LocalPath":
            yield LOCAL_SECONDS
        elif action is not None and not action.declarative:
            default = getattr(action.inputs, "timeout_seconds", action.seconds)
            stages = sum(name in step["inputs"] for name in ("test", "apply")) or 1
            yield stages * int(step["inputs"].get("timeoutSeconds", default))
