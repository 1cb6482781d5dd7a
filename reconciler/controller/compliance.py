"""Reports back to Git: gathers what changed since the last page on the loop's thread, writes it on another one."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.capabilities.nodes import compliance
from reconciler.capabilities.nodes.compliance import SEVERITIES, Standing, Totals
from reconciler.core import nodeset
from reconciler.core.problem import Problem
from reconciler.core.records import Changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.loop import Loop
    from reconciler.controller.reports import Reports
    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, ReportBranch, Store
    from reconciler.core.records import StateRow
    from reconciler.core.world import World

log = logging.getLogger(__name__)
WRITTEN = "complianceWritten"
GONE = "complianceGone"


@dataclass(frozen=True, slots=True)
class Pages:
    """One commit's worth: files, its subject line, and up to when states are in it."""

    files: Mapping[str, bytes | None]
    subject: str
    until: int


class ComplianceWriter:
    """Called at the interval by the timer; a run that is still writing is not overtaken."""

    def __init__(
        self,
        state: State,
        loop: Loop,
        store: Store,
        branch: ReportBranch,
        clock: Clock,
        reports: Reports,
        instance: str,
    ) -> None:
        self._state, self._loop, self._store, self._branch = state, loop, store, branch
        self._clock, self._reports, self._instance = clock, reports, instance
        self._writing = threading.Lock()

    def write(self) -> str | None:
        """One commit, or none where nothing changed; its id."""
        if not self._writing.acquire(blocking=False):
            return None
        try:
            pages = self._loop.call(self._gather)
            if pages is None:
                return None
            at = self._clock.now_ms()
            commit = self._branch.write(pages.files, pages.subject, at=at, instance=self._instance)
            self._loop.call(lambda: self._written(pages))
        except Problem as problem:
            log.warning("compliance: %s", problem)
            return None
        finally:
            self._writing.release()
        return commit

    def _written(self, pages: Pages) -> None:
        self._store.commit(Changes(settings={WRITTEN: str(pages.until), GONE: "[]"}))

    def _gather(self) -> Pages | None:
        settings = self._store.settings()
        since = int(settings.get(WRITTEN, "0"))
        gone = json.loads(settings.get(GONE, "[]"))
        self._reports.flush()
        until = self._clock.now_ms() - 1
        changed = [row for row in self._store.states(since=since + 1) if row.since <= until]
        if not changed and not gone:
            return None
        world = self._state.world
        severities = self._severities()
        files: dict[str, bytes | None] = dict.fromkeys(gone)
        ids = {row.node_id for row in changed}
        by_node: dict[str, list[StateRow]] = {node_id: [] for node_id in ids}
        for row in self._store.states(node_ids=sorted(ids)):
            by_node[row.node_id].append(row)
        names = {}
        for node_id, rows in by_node.items():
            entry = world.nodes.entry(node_id)
            if entry is not None:
                names[node_id] = entry.name
                path = compliance.node_path(node_id, entry.name)
                files[path] = compliance.node_page(node_id, entry.name, rows, severities)
        told = tuple((names[row.node_id], row) for row in changed if row.node_id in names)
        totals = totals_of(world, severities, told, self._unenrolled())
        files["summary.yaml"] = compliance.summary_page(totals)
        files["README.md"] = compliance.front_page(world.fleet_id, totals)
        return Pages(files, compliance.subject_line(totals), until)

    def _severities(self) -> dict[str, str]:
        catalog = self._state.catalog
        if catalog is None:
            return {}
        return {uid: catalog.resources[uid].spec.compliance_severity for uid in catalog.compiled}

    def _unenrolled(self) -> int:
        catalog, known = self._state.catalog, self._state.world.nodes.by_name
        return sum(1 for name in (catalog.names("Node") if catalog else ()) if name not in known)


def totals_of(
    world: World,
    severities: Mapping[str, str],
    changed: tuple[tuple[str, StateRow], ...] = (),
    unenrolled: int = 0,
) -> Totals:
    """The fleet's standing from World's columns. Linear in associations, and in what is not compliant."""
    bad = untold = holding = nodeset.EMPTY
    per_node: Counter[int] = Counter()
    highest: dict[int, int] = {}
    standings = []
    for uid, columns in sorted(world.columns.items()):
        severity = severities.get(uid, "UNSPECIFIED")
        having = columns.anywhere
        wrong = columns.reported & ~columns.converged
        standings.append(
            Standing(
                uid,
                severity,
                nodeset.size(columns.converged),
                nodeset.size(wrong),
                nodeset.size(having & ~columns.reported),
            )
        )
        holding |= having
        bad |= wrong
        untold |= having & ~columns.reported
        rank = SEVERITIES.index(severity)
        for bit in nodeset.positions(wrong):
            per_node[bit] += 1
            highest[bit] = min(highest.get(bit, rank), rank)
    compliant = nodeset.size(holding & ~bad & ~untold)
    total = nodeset.size(world.nodes.everyone) + unenrolled
    ranked = sorted(per_node, key=lambda bit: (highest[bit], -per_node[bit], bit))[: compliance.WORST_SHOWN]
    worst = tuple((world.nodes.names(1 << bit)[0], per_node[bit], SEVERITIES[highest[bit]]) for bit in ranked)
    return Totals(
        total, compliant, nodeset.size(bad), total - compliant - nodeset.size(bad), tuple(standings), worst, changed
    )
