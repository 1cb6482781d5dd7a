"""Explain: why a node is as it is, claim by claim, and what it waits for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.capabilities.nodes.association import Compiled
    from reconciler.core.problem import Place
    from reconciler.core.records import StateRow
    from reconciler.core.world import World
    from reconciler.documents.compile import Placed
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.gate import Verdict
    from reconciler.engine.plan import Plan


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one claim (or, without one, an association as a whole) is on the node.

    `place` is the step's file:line, `declared` the association's; `because` are the targets that selected the node.
    `until` is the step's last line (0: the file's), `sources` the files that its content comes from.
    """

    uid: str
    document: str
    claim: str
    step: str
    place: Place
    until: int
    sources: tuple[str, ...]
    declared: Place
    revision: str
    because: tuple[str, ...]
    compliance: str
    status: str
    reason: str
    since: int
    outcome: str
    waits: tuple[str, ...]


def explain(
    node: str,
    claim: str | None,
    catalog: Catalog,
    plan: Plan,
    verdicts: Sequence[Verdict],
    world: World,
    states: Iterable[StateRow],
    frozen: str = "",
) -> list[Reason]:
    """Reasons for everything on the node, or for one claim; empty where nothing asks for it.

    `frozen` is why nothing may change anywhere.
    """
    bit = plan.nodes.named(node)
    known = {row.uid: row for row in states}
    found = []
    for uid, compiled in sorted(catalog.compiled.items()):
        if not plan.targets[uid] & bit:
            continue
        state = known.get(uid)
        outcomes = {row["claim"]: row for row in json.loads(state.findings)} if state else {}
        resource = catalog.resources[uid]
        waits = tuple(_waits(uid, bit, compiled.body_digest, plan, verdicts, world, frozen))
        because = tuple(_because(uid, bit, catalog, plan))
        for placed in (*compiled.claims, *compiled.runs):
            text = str(placed.claim)
            if claim is not None and text != claim and placed.claim.name != claim:
                continue
            outcome = outcomes.get(text, {})
            found.append(
                Reason(
                    uid,
                    compiled.document_uid,
                    text,
                    placed.step,
                    placed.place,
                    _until(placed),
                    _sources(compiled, placed.step),
                    resource.place,
                    resource.revision,
                    because,
                    state.compliance if state else "UNKNOWN",
                    state.status if state else "",
                    outcome.get("reason") or (state.reason if state else ""),
                    state.since if state else 0,
                    outcome.get("outcome", "Unchanged" if state else "Unknown"),
                    waits,
                )
            )
    return found


def _until(placed: Placed) -> int:
    """The line before the next step; 0 where this is the last one."""
    *steps, number = placed.loc
    following = placed.places.of((*steps, int(number) + 1)).line
    return following - 1 if following > placed.place.line else 0


def _sources(compiled: Compiled, step: str) -> tuple[str, ...]:
    """The repository's files that a step takes its content from."""
    steps = json.loads(compiled.body)["steps"]
    return tuple(found["inputs"]["source"] for found in steps if found["name"] == step and "source" in found["inputs"])


def _because(uid: str, bit: int, catalog: Catalog, plan: Plan) -> Iterable[str]:
    resolve = catalog.resolver(plan.nodes)
    for target in catalog.resources[uid].spec.targets:
        if resolve([target]) & bit:
            yield str(target)


def _waits(
    uid: str, bit: int, body_digest: str, plan: Plan, verdicts: Sequence[Verdict], world: World, frozen: str
) -> Iterable[str]:
    columns = world.of(uid)
    if frozen:
        yield f"freeze: {frozen}"
    for verdict in verdicts:
        if verdict.nodes & bit and verdict.uid in ("", uid) and verdict.rule != "freeze":
            yield f"{verdict.rule}: {verdict.reason}"
    for conflict in plan.conflicts:
        if conflict.nodes & bit and uid in (conflict.one.uid, conflict.other.uid):
            yield f"conflict: {conflict.owned} is claimed at {conflict.one.place} and at {conflict.other.place}"
    if columns.on(body_digest) & bit and not columns.reported & bit:
        yield "online: the node has not reported yet" if world.online & bit else "offline: the node is not connected"
    if not world.nodes.everyone & bit:
        yield "enrolment: the node is declared and not enrolled"
