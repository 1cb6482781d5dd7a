"""Absorb: what a node's word changes. An older word is history and never changes what is."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical
from agent.contract.causes import REMOVED
from agent.contract.codec import from_wire, to_wire
from agent.contract.wire import ClaimReport
from reconciler.capabilities.nodes import association
from reconciler.core.effect import Record
from reconciler.core.records import AssignmentRow, StateRow

if TYPE_CHECKING:
    from agent.contract.wire import Held, Report
    from reconciler.core.world import World

FINDINGS_KEPT = 20
"""Claims kept in a state row; more are counted by the report itself."""


@dataclass(frozen=True, slots=True)
class Absorbed:
    """World after the word, and the rows that say so. All empty where the word was history."""

    world: World
    reported: tuple[AssignmentRow, ...] = ()
    states: tuple[StateRow, ...] = ()


def absorb(world: World, report: Report, known: StateRow | None, at: int) -> Absorbed:
    """Take in one report. `known` is the state row of its pair, None before the first.

    World does not know which generation each node has, nor what it said last: the caller has seen to it that the report
    is on the one and newer than the other.
    """
    bit = world.nodes.bits.get(report.node_id)
    if bit is None or report.incarnation != world.incarnation or report.cause == REMOVED:
        return Absorbed(world)
    node = 1 << bit
    columns = world.of(report.uid)
    release = world.releases.get(report.uid)
    if not columns.on(report.body_digest) & node or release is None or report.generation > release.generation:
        return Absorbed(world)
    verdict = association.compliance(report)
    said = columns.said(
        node,
        converged=verdict == "COMPLIANT",
        failed=report.status in association.FAILED_STATUSES,
        drifted=any(claim.outcome == "Drifted" for claim in report.claims),
    )
    world = world.with_columns({report.uid: said})
    entry = world.nodes.entries[bit]
    if world.unsettled & node and entry is not None and entry.context_digest == report.context_digest:
        world = replace(world, unsettled=world.unsettled & ~node)
    row = AssignmentRow(
        report.node_id,
        report.uid,
        report.generation,
        report.body_digest,
        at,
        held=True,
        status=report.status,
        compliance=verdict,
        drifted=bool(said.drifted & node),
        seq=report.seq,
    )
    before = record_of(known) if known else None
    records = [effect for effect in association.absorb(report, at, before) if isinstance(effect, Record)]
    return Absorbed(world, (row,), tuple(state_of(record, release.commit) for record in records))


def held(world: World, node_id: str, held: Held) -> tuple[World, tuple[tuple[str, str, str], ...]]:
    """World after a node acknowledged a set, and the (node, uid, body digest) rows that became held."""
    bit = world.nodes.bits.get(node_id)
    if bit is None:
        return world, ()
    node = 1 << bit
    changed, rows = {}, []
    for uid, body_digest in held.digests.items():
        columns = world.of(uid)
        if columns.on(body_digest) & node and not columns.held & node:
            changed[uid] = replace(columns, held=columns.held | node)
            rows.append((node_id, uid, body_digest))
    return (world.with_columns(changed) if changed else world), tuple(rows)


def state_of(record: Record, commit: str) -> StateRow:
    """The row that compliance pages quote."""
    findings = canonical([to_wire(claim) for claim in record.findings[:FINDINGS_KEPT]]).decode()
    return StateRow(
        record.node_id,
        record.uid,
        record.compliance,
        record.status,
        record.reason,
        record.since,
        commit,
        record.generation,
        findings,
    )


def record_of(row: StateRow) -> Record:
    """The inverse of `state_of`."""
    claims = tuple(from_wire(ClaimReport, claim) for claim in json.loads(row.findings))
    return Record(row.node_id, row.uid, row.generation, row.compliance, row.status, row.reason, row.since, claims)
