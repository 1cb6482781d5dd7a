"""Reports back to Git: what is news is gathered on the loop, drawn up and written on the timer's thread.

The branch itself is the memory. What is due is kept only while the process runs: after a start every page is compared
with the branch once, some at a time, so that a crash loses nothing and what is there already makes no commit.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.capabilities.nodes import compliance
from reconciler.controller.standing import severities, totals_of
from reconciler.core.problem import Problem, Unavailable
from reconciler.core.records import Changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from reconciler.controller.keeper import Keeper
    from reconciler.controller.loop import Loop
    from reconciler.controller.state import Pair, State
    from reconciler.core.git_ports import ReportBranch
    from reconciler.core.ports import Clock, Store
    from reconciler.core.records import StateRow
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog

log = logging.getLogger(__name__)
WRITTEN = "complianceWritten"
"""The setting with the instant of the last commit (Unix milliseconds): states since then are news after a start."""
PAGES_AT_ONCE = 10_000
SUMMARY, FRONT = "summary.yaml", "README.md"


@dataclass(frozen=True, slots=True)
class Due:
    """What one commit is drawn up from: `nodes` whose pages may differ, `news` the pairs that people are told of.

    `called` are the names as they are now, None where they are as they were: else nodes came, went or were renamed, and
    there may be pages of no node.
    """

    world: World
    fleet: str
    severities: Mapping[str, str]
    unenrolled: int
    nodes: tuple[str, ...]
    news: frozenset[Pair]
    called: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """One commit's worth: the pages that differ, and what is left for the next one."""

    files: Mapping[str, bytes | None]
    subject: str
    nodes: AbstractSet[str]
    later: tuple[str, ...]


class ComplianceWriter:
    """Called at the interval by the timer; a run that is still writing is not overtaken."""

    def __init__(
        self, state: State, loop: Loop, keeper: Keeper, store: Store, branch: ReportBranch, clock: Clock, instance: str
    ) -> None:
        self._state, self._loop, self._keeper, self._store = state, loop, keeper, store
        self._branch, self._clock, self._instance = branch, clock, instance
        self._writing = threading.Lock()
        self._since = int(store.settings().get(WRITTEN, "0"))
        self._unseen = set(state.world.nodes.bits)
        self._nodes: dict[str, None] = dict.fromkeys(state.world.nodes.bits)
        self._news: set[Pair] = set()
        self._called: Mapping[str, int] | None = None
        self._unenrolled = 0
        self._severities: Mapping[str, str] = {}
        self._failures = 0

    def write(self) -> str | None:
        """One commit, or none where the branch says it all; its id. What could not be written stays due."""
        if not self._writing.acquire(blocking=False):
            return None
        try:
            due = self._loop.call(self._gather)
            commit = self._write(due) if due is not None else None
        except Problem as problem:
            self._failed(problem)
            return None
        finally:
            self._writing.release()
        self._failures = 0
        self._state.note("compliance")
        return commit

    def _failed(self, problem: Problem) -> None:
        """A remote that does not answer once is no news; the next interval tries again."""
        self._failures += 1
        lasting = self._failures > 1 or not isinstance(problem, Unavailable)
        if lasting and self._state.note("compliance", f"compliance is not written: {problem}"):
            log.warning("compliance is not written: %s", problem)

    def _gather(self) -> Due | None:
        """On the loop: what is due, None where nothing is."""
        state = self._state
        world, catalog = state.world, state.catalog
        if catalog is None:
            return None
        news, state.news = state.news, set()
        self._news |= news
        first = dict.fromkeys(node_id for node_id, _ in news)
        self._nodes = {**first, **self._nodes, **dict.fromkeys(self._judged_otherwise(catalog, world))}
        unenrolled = sum(1 for name in catalog.nodes if name not in world.nodes.by_name)
        renamed = world.nodes.by_name is not self._called
        if not self._nodes and not renamed and unenrolled == self._unenrolled:
            return None
        return Due(
            world,
            next(iter(catalog.names("Fleet")), world.fleet_id),
            self._severities,
            unenrolled,
            tuple(self._nodes),
            frozenset(self._news),
            world.nodes.by_name if renamed else None,
        )

    def _judged_otherwise(self, catalog: Catalog, world: World) -> Iterator[str]:
        """Nodes with an association whose severity is another than when pages were last drawn up."""
        before, self._severities = self._severities, severities(catalog)
        if before == self._severities:
            return
        for uid in before.keys() | self._severities.keys():
            if before.get(uid) != self._severities.get(uid):
                yield from world.nodes.ids(world.of(uid).anywhere)

    def _write(self, due: Due) -> str | None:
        at = self._clock.now_ms()
        drawn = self._draw_up(due)
        commit = None
        if drawn.files:
            commit = self._branch.write(drawn.files, drawn.subject, at=at, instance=self._instance)
        self._loop.call(lambda: self._written(due, drawn, at))
        return commit

    def _draw_up(self, due: Due) -> Drawn:
        entries = due.world.nodes
        paths = {entry.id: compliance.node_path(entry.id, entry.name) for entry in entries.entries if entry is not None}
        wanted = [node_id for node_id in due.nodes if node_id in paths]
        files: dict[str, bytes | None] = {}
        if due.called is not None:
            there = self._branch.paths()
            own = set(paths.values())
            files = dict.fromkeys(path for path in there if compliance.is_node_path(path) and path not in own)
            wanted += [node_id for node_id, path in paths.items() if path not in there]
        wanted = list(dict.fromkeys(wanted))
        now, later = wanted[:PAGES_AT_ONCE], tuple(wanted[PAGES_AT_ONCE:])
        rows: dict[str, list[StateRow]] = {node_id: [] for node_id in now}
        for row in self._store.states(node_ids=now):
            rows[row.node_id].append(row)
        held = self._branch.read([SUMMARY, *(paths[node_id] for node_id in now)])
        for node_id, states in rows.items():
            path, entry = paths[node_id], entries.entry(node_id)
            if entry is not None and (states or path in held):
                page = compliance.node_page(node_id, entry.name, states, due.severities)
                files |= {path: page} if page != held.get(path) else {}
        told = tuple((entries.names(entries.named(row.node_id))[0], row) for row in self._told(due, rows))
        totals = totals_of(due.world, due.severities, told, due.unenrolled)
        if files or totals.nodes != compliance.nodes_in(held.get(SUMMARY, b"")):
            files[SUMMARY] = compliance.summary_page(totals)
            files[FRONT] = compliance.front_page(due.fleet, totals)
        return Drawn(files, compliance.subject_line(totals), rows.keys(), later)

    def _told(self, due: Due, rows: Mapping[str, list[StateRow]]) -> Iterator[StateRow]:
        """What is news of these nodes; just after a start, by when it came about."""
        for node_id, states in rows.items():
            unseen = node_id in self._unseen
            yield from (row for row in states if (node_id, row.uid) in due.news or (unseen and row.since > self._since))

    def _written(self, due: Due, drawn: Drawn, at: int) -> None:
        """On the loop: what is on the branch is due no more."""
        self._nodes = {node_id: None for node_id in (*self._nodes, *drawn.later) if node_id not in drawn.nodes}
        self._news = {pair for pair in self._news if pair not in due.news or pair[0] not in drawn.nodes}
        self._unseen -= drawn.nodes
        self._called = due.called if due.called is not None else self._called
        self._unenrolled = due.unenrolled
        if drawn.files:
            self._keeper.commit(Changes(at=at, settings={WRITTEN: str(at)}))
