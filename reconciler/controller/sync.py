"""From the remote to the catalog in force: fetch, judge changes under `access/`, load, and move the revision.

Only this moves a revision. Under `sync: auto` every fetched commit comes into force; under `manual` only `apply` does.
Both the settings in force and the new commit's have a say: what is manual, or is to become so, waits for a person.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING

from reconciler.controller.restart import ACCESS_REVISION, HORIZON, INTERVAL, REVISION
from reconciler.core.nodeset import EMPTY
from reconciler.core.problem import Problem, Refused, Unavailable, Waiting
from reconciler.core.records import AuditRow, Changes
from reconciler.engine.leave import HORIZON as HORIZON_AHEAD
from reconciler.engine.leave import RENEWED_WITHIN, leaves

if TYPE_CHECKING:
    from reconciler.controller.catalogs import Catalogs, Loaded
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.loop import Loop
    from reconciler.controller.state import State
    from reconciler.core.effect import Cause
    from reconciler.core.ports import Source
    from reconciler.core.records import LeaveRow
    from reconciler.engine.catalog import Catalog

log = logging.getLogger(__name__)


class Sync:
    """`refresh` and `resume` run on the caller's thread and hand in what they found; the rest runs on the loop.

    `allow_rewrite` is the operator's word, given once at start, that a rewritten history is meant.
    """

    def __init__(
        self,
        state: State,
        loop: Loop,
        keeper: Keeper,
        source: Source,
        catalogs: Catalogs,
        *,
        allow_rewrite: bool = False,
    ) -> None:
        self._state, self._loop, self._keeper = state, loop, keeper
        self._source, self._catalogs = source, catalogs
        self._allow_once = allow_rewrite
        self._refreshing = threading.Lock()

    def resume(self, cause: Cause) -> None:
        """Take up what was in force. Raises `Unavailable` where the repository does not hold it (any more)."""
        revision = self._state.world.revision
        if revision is not None and self._state.catalog is None:
            loaded = self._catalogs.at(revision)
            self._loop.call(partial(self.bring_into_force, loaded, cause))

    def refresh(self, cause: Cause) -> None:
        """Fetch, load, and have it taken into account before returning.

        One at a time, so that what was fetched earlier never overtakes what was fetched later. Raises `Unavailable`
        and `Refused` as the port does; people are told in any case.
        """
        with self._refreshing:
            try:
                head, anew = self._fetch()
                if not anew:
                    self.resume(cause)
                while not self._took_in(head, cause):
                    pass  # other access files came into force meanwhile: load it once more
            except Problem as problem:
                self._loop.call(partial(self._failed, problem))
                raise

    def target(self, rev: str | None) -> str:
        """The commit that `apply` means: on the tracked branch, and the head itself under `sync: auto`."""
        head = self._state.head
        if head is None:
            raise Waiting("a first commit on the tracked branch")
        if rev is None:
            return head
        commit = self._source.resolve(rev)
        if not self._source.is_ancestor(commit, head):
            raise Refused(f"{rev} is not on the tracked branch", "apply", "merge it first, or plan it with --rev")
        if commit != head and self._state.sync == "auto":
            remedy = "revert it in Git, or set `sync: manual` in fleet.yaml"
            raise Refused(f"{rev} is behind the head, and `sync: auto` would leave it again", "sync", remedy)
        return commit

    def is_current(self, loaded: Loaded) -> bool:
        """Whether a catalog's access files were judged by those that count now."""
        return loaded.trusted == self._state.world.access_revision

    def bring_into_force(self, loaded: Loaded, cause: Cause) -> None:
        """From now on this, which is current, is what should be. Durable before anything acts on it."""
        state, catalog = self._state, loaded.catalog
        world = replace(
            state.world,
            sequence=state.world.sequence + 1,
            revision=catalog.commit,
            access_revision=catalog.access_commit,
        )
        settings: dict[str, str] = {}
        audit: tuple[AuditRow, ...] = ()
        restated: tuple[str, ...] = ()
        if (state.world.revision, state.world.access_revision) != (world.revision, world.access_revision):
            settings = {REVISION: catalog.commit, ACCESS_REVISION: catalog.access_commit}
            detail = f"from {(state.world.revision or 'nothing')[:12]}"
            audit = (AuditRow(cause.at, cause.subject, "sync", catalog.commit, "in force", cause.id, detail),)
        interval = state.interval if catalog.holds_everything else catalog.fleet.agent.interval
        changed = () if catalog.holds_everything else self._new_leaves(catalog)
        horizon = state.horizon if state.horizon >= cause.at + RENEWED_WITHIN else cause.at + HORIZON_AHEAD
        if (interval, horizon) != (state.interval, state.horizon):
            settings |= {INTERVAL: str(interval), HORIZON: str(horizon)}
            restated = tuple(world.nodes.bits)
        elif changed:
            holding = (world.of(row.uid).anywhere for row in changed)
            restated = tuple(world.nodes.ids(reduce(or_, holding, EMPTY)))
        if settings or changed:
            changes = Changes(at=cause.at, settings=settings, audit=audit, restated=restated, leaves=changed)
            self._keeper.commit(changes, world, restated)
        state.catalog, state.interval, state.horizon = catalog, interval, horizon
        state.leaves = {**state.leaves, **{row.uid: row for row in changed}}
        state.note("access", loaded.access_problem)
        state.dirty = True

    def renew(self, at: int) -> None:
        """Move the horizon on in time, to which nodes are told what they may do alone."""
        state = self._state
        if state.catalog is not None and state.horizon < at + RENEWED_WITHIN:
            horizon, everyone = at + HORIZON_AHEAD, tuple(state.world.nodes.bits)
            self._keeper.commit(Changes(at=at, settings={HORIZON: str(horizon)}, restated=everyone), None, everyone)
            state.horizon = horizon

    def _new_leaves(self, catalog: Catalog) -> tuple[LeaveRow, ...]:
        """What nodes may do alone, as far as it is otherwise than they were told."""
        return tuple(row for row in leaves(catalog) if self._state.leaves.get(row.uid) != row)

    def _fetch(self) -> tuple[str | None, bool]:
        """The newest commit, and whether its history may begin anew."""
        catalog = self._state.catalog
        allowed = self._allow_once or (catalog is not None and catalog.fleet.allow_rewrite)
        head = self._source.fetch(allow_rewrite=allowed)
        revision = self._state.world.revision
        if head is None or revision is None or head == self._state.head or self._contains(head, revision):
            return head, False
        if not allowed:
            what = f"the tracked branch is at {head[:12]}, which does not contain {revision[:12]}, the commit in force"
            raise Refused(what, "history only grows", "if it was meant, allow it once with --allow-rewrite")
        self._allow_once = False
        return head, True

    def _took_in(self, head: str | None, cause: Cause) -> bool:
        """Whether the head was taken into account; not where other access files came into force while it was loaded."""
        loaded = self._catalogs.at(head) if head is not None and head != self._state.head else None
        return self._loop.call(partial(self._fetched, head, loaded, cause))

    def _contains(self, head: str, revision: str) -> bool:
        """The port compares with what it accepted last, which a lost copy no longer knows; the store always does."""
        try:
            return self._source.is_ancestor(revision, head)
        except Unavailable:
            return False

    def _failed(self, problem: Problem) -> None:
        """What is in force stays in force, and people see why nothing newer is."""
        if self._state.note("fetch", str(problem)):
            log.warning("fetch: %s", problem)

    def _fetched(self, head: str | None, loaded: Loaded | None, cause: Cause) -> bool:
        state = self._state
        if loaded is not None and not self.is_current(loaded):
            return False
        state.fetched_at = cause.at
        state.note("fetch", "" if head is not None else "the repository has no commits on the tracked branch yet")
        if loaded is None:
            return True
        if loaded.access_problem and state.problems.get("access") != loaded.access_problem:
            log.warning("%s", loaded.access_problem)
        in_force, sync = state.catalog, loaded.catalog.fleet.sync
        if sync == "auto" and (in_force is None or in_force.fleet.sync == "auto"):
            self.bring_into_force(loaded, cause)
        state.head, state.head_sync = head, sync
        state.note("access", loaded.access_problem)
        return True
