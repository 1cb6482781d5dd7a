"""From the remote to the catalog in force: fetch, judge changes under `access/`, load, and move the revision.

Only this moves a revision. Under `sync: auto` every fetched commit comes into force; under `manual` only `apply` does.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from reconciler.core.problem import Problem, Refused, Waiting
from reconciler.core.records import AuditRow, Changes
from reconciler.engine.load import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.controller.state import State
    from reconciler.core.ports import Clock, Source, Store
    from reconciler.engine.catalog import Catalog

log = logging.getLogger(__name__)
ACCESS = "access/"
LOOK_BACK = 200
"""First-parent commits searched for the one that wrote `access/` as it is."""


class Sync:
    """Runs on the loop's thread, but for `refresh`, which talks to the remote first."""

    def __init__(self, state: State, store: Store, source: Source, clock: Clock, access_signers: bytes) -> None:
        self._state, self._store, self._source, self._clock = state, store, source, clock
        self._signers = access_signers
        self._loaded: dict[tuple[str, str | None], Catalog] = {}
        self._refreshing = threading.Lock()

    def refresh(self, on_loop: Callable[[Callable[[], None]], None]) -> None:
        """Fetch on the caller's thread and have it taken into account through `on_loop`, which waits until it is.

        One at a time, so that what was fetched earlier never overtakes what was fetched later. Raises `Unavailable`
        and `Refused` as the port does.
        """
        with self._refreshing:
            catalog = self._state.catalog
            try:
                head = self._source.fetch(allow_rewrite=catalog.fleet.allow_rewrite if catalog else False)
            except Problem as problem:
                on_loop(partial(self.failed, problem))
                raise
            on_loop(partial(self.fetched, head))

    def fetched(self, head: str | None) -> None:
        """A fetch ended well: take the head into account, and into force under `sync: auto`."""
        state = self._state
        state.fetched_at, state.fetch_problem = self._clock.now_ms(), ""
        if head is None:
            state.fetch_problem = "the repository has no commits on the tracked branch yet"
            return
        if head == state.head:
            return
        catalog = self.catalog(head)
        state.head = head
        if catalog.fleet.sync == "auto":
            self.bring_into_force(catalog)

    def resume(self) -> None:
        """At start: what was in force stays so until something moves it, whatever the remote says meanwhile."""
        if self._state.world.revision is not None:
            self.bring_into_force(self.catalog(self._state.world.revision))

    def failed(self, problem: Problem) -> None:
        """A fetch ended badly: what is in force stays in force, and people see why nothing newer is."""
        if str(problem) != self._state.fetch_problem:
            log.warning("fetch: %s", problem)
        self._state.fetch_problem = str(problem)

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
        if commit != head and self.catalog(head).fleet.sync == "auto":
            remedy = "revert it in Git, or set `sync: manual` in fleet.yaml"
            raise Refused(f"{rev} is behind the head, and `sync: auto` would leave it again", "sync", remedy)
        return commit

    def catalog(self, commit: str) -> Catalog:
        """The catalog of a commit with the access files that are trusted at it. Pure reading: nothing of it runs."""
        access = self._trusted_access(commit)
        key = (commit, access)
        if key not in self._loaded:
            previous = self._state.catalog
            self._loaded = {key: load(self._source, commit, previous=previous, access_commit=access)}
        return self._loaded[key]

    def bring_into_force(self, catalog: Catalog) -> None:
        """From now on this is what should be. Durable before anything acts on it."""
        state = self._state
        access = self._trusted_access(catalog.commit)
        if state.world.revision != catalog.commit or state.world.access_revision != access:
            settings = {"revision": catalog.commit, "accessRevision": access or ""}
            detail = f"from {(state.world.revision or 'nothing')[:12]}"
            audit = AuditRow(self._clock.now_ms(), "reconciler", "sync", catalog.commit, "in force", "", detail)
            self._store.commit(Changes(settings=settings, audit=(audit,)))
        state.world = replace(state.world, revision=catalog.commit, access_revision=access)
        state.catalog = catalog
        state.dirty = True

    def _trusted_access(self, commit: str) -> str | None:
        """The commit whose `access/` counts: the first ever accepted is the trust root, later ones need a signature."""
        trusted = self._state.world.access_revision
        self._state.access_problem = ""
        if trusted is None:
            return commit
        wanted = self._access_files(commit)
        if wanted == self._access_files(trusted):
            return trusted
        for ancestor in self._source.first_parents(commit, LOOK_BACK):
            if self._access_files(ancestor.oid) != wanted:
                break
            if self._signers and self._source.signature(ancestor.oid, self._signers) == "good":
                return commit
        self._state.access_problem = (
            f"changes under {ACCESS} up to {commit[:12]} are not in force: they need a commit signed by a key in "
            f"server.yaml: accessSigners" + ("" if self._signers else " (none is listed)")
        )
        log.warning("%s", self._state.access_problem)
        return trusted

    def _access_files(self, commit: str) -> dict[str, str]:
        tree = self._source.tree(commit)
        return {path: entry.oid for path, entry in tree.items() if path.startswith(ACCESS)}
