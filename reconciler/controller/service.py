"""What people and programs may ask for: each method checks the subject's verb, then answers or acts.

What only asks is answered from snapshots on the caller's thread, so that a large plan keeps no node waiting; what
changes anything is decided on the loop.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.controller import binding, explanation, views
from reconciler.controller.contents import FileContents
from reconciler.controller.progress import apply_of, progress, remember
from reconciler.controller.scope import within
from reconciler.core.problem import Refused, Unavailable, Waiting, nearest
from reconciler.core.records import AuditRow, Changes
from reconciler.engine import automated
from reconciler.engine.gate import Limits
from reconciler.engine.preview import draw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.runs import AutomationRuns
    from reconciler.controller.catalogs import Catalogs, Loaded
    from reconciler.controller.document_runs import DocumentRuns
    from reconciler.controller.enrolment import Enrolments
    from reconciler.controller.inventory import InventoryDesk
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.loop import Loop
    from reconciler.controller.parameters import ParameterDesk
    from reconciler.controller.permissions import Permissions
    from reconciler.controller.reconcile import Planner, Reconciler
    from reconciler.controller.sessions import Sessions
    from reconciler.controller.state import State
    from reconciler.controller.sync import Sync
    from reconciler.controller.visits import Visits
    from reconciler.core.access import Subject
    from reconciler.core.nodes import NodeEntry
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.ports import Renderer, Source, Store
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.views import PlanView

AUDIT_LIMIT = 1000
TRIES = 5
"""How often an apply looks again where a newer commit was fetched while it was at it."""


class ControllerService:
    """Implements the API's `Service`. Methods may be called from any thread."""

    def __init__(
        self,
        state: State,
        loop: Loop,
        keeper: Keeper,
        store: Store,
        source: Source,
        renderer: Renderer,
        catalogs: Catalogs,
        sync: Sync,
        planner: Planner,
        reconciler: Reconciler,
        enrolments: Enrolments,
        permissions: Permissions,
        visits: Visits,
        commands: DocumentRuns,
        automations: AutomationRuns,
        inventory: InventoryDesk,
        parameters: ParameterDesk,
        sessions: Sessions,
    ) -> None:
        self._state, self._loop, self._keeper = state, loop, keeper
        self._store, self._source, self._renderer = store, source, renderer
        self._catalogs, self._sync, self._planner, self._reconciler = catalogs, sync, planner, reconciler
        self._enrolments, self._permissions, self._visits = enrolments, permissions, visits
        self.commands = commands
        self.automations = automations
        self._inventory = inventory
        self.parameters = parameters
        self.sessions = sessions
        self._planning = threading.Lock()

    def operator_of(self, key: str) -> str | None:
        """The operator whose key this is, by the access files in force."""
        wanted = key.split()[:2]
        catalog = self._state.catalog
        for name, operator in catalog.operators.items() if catalog else ():
            if any(line.split()[:2] == wanted for line in operator.keys):
                return name
        return None

    # What is asked

    def status(self, subject: Subject) -> dict[str, Any]:
        """Where the fleet stands: the revision in force, what holds newer ones back, totals."""
        self._permissions.check(subject, "read", "Fleet")
        return views.status(self._state)

    def plan(self, subject: Subject, rev: str | None, base: str | None) -> dict[str, Any]:
        """What a revision (the head, where None) would change on the live nodes within reach. Nothing of it runs."""
        self._permissions.check(subject, "plan", "Association")
        if base is not None:
            raise Refused("--base compares Git with Git", "plan", "leave out --server, or leave out --base")
        stale = self._try_to_refresh(subject, rev)
        with self._planning:  # one at a time: each takes a processor and much memory
            return dict(self._plan(subject, rev, stale))

    def apply_status(self, subject: Subject, apply_id: str) -> dict[str, Any]:
        """How far an apply has come."""
        self._permissions.check(subject, "read", "Fleet")
        apply = self._state.applies.get(apply_id)
        if apply is None:
            raise Refused(f"no apply {apply_id} is remembered", "apply", "see opsctl status")
        return progress(self._state, apply)

    def nodes(self, subject: Subject) -> list[dict[str, Any]]:
        """The nodes within reach, those included that Git declares and nobody enrolled."""
        world = self._state.world
        reach = self._permissions.reach(subject, "read", "Node", world.nodes)
        declared = self._permissions.declared(subject, "read", "Node")
        rows = [*views.nodes(self._state, world, reach), *views.not_enrolled(self._state, *declared, world)]
        return sorted(rows, key=lambda row: str(row["name"]))

    def node(self, subject: Subject, name: str) -> dict[str, Any]:
        """One node, by name or id, with what it was given and says."""
        return views.node(self._state, self._state.world, self._store, self._readable(subject, name))

    def inventory(self, subject: Subject, name: str) -> list[dict[str, Any]]:
        """What a node within reach collected about itself, by type, without the contents."""
        return self._inventory.types(self._readable(subject, name).id)

    def inventory_type(self, subject: Subject, name: str, type_name: str) -> dict[str, Any]:
        """One type of it, with its content."""
        return self._inventory.one(self._readable(subject, name).id, type_name)

    def explain(self, subject: Subject, node: str, claim: str | None) -> dict[str, Any]:
        """Why a node within reach is as it is, or one thing on it."""
        self._permissions.check(subject, "explain", "Node")
        catalog, world = self._catalog(), self._state.world
        plan, gated = self._planner.judged(catalog, world)
        declared, within_reach = self._permissions.declared(subject, "explain", "Node")
        if node in plan.not_enrolled and declared.named(node) & within_reach:
            name, found = node, explanation.of_declared(node, claim, catalog, plan, declared)
        else:
            entry = _entry(node, world, self._permissions.reach(subject, "explain", "Node", world.nodes))
            name, found = entry.name, explanation.of_node(entry, claim, catalog, world, (plan, gated), self._store)
        reasons = explanation.told(found, self._source)
        return {"node": name, "claim": claim, "revision": world.revision, "reasons": reasons}

    def conditions(self, subject: Subject) -> list[dict[str, Any]]:
        """What is not as its author meant it, resource by resource."""
        self._permissions.check(subject, "read", "Fleet")
        return [views.condition(item) for item in (*self._catalog().conditions, *self._state.parameters_due)]

    def audit(self, subject: Subject, limit: int) -> list[dict[str, Any]]:
        """Who did what, newest first."""
        self._permissions.check(subject, "read", "Audit")
        return [views.audited(row) for row in self._store.audit(limit=min(limit, AUDIT_LIMIT))]

    # What is done

    def sync(self, subject: Subject) -> dict[str, Any]:
        """Fetch now; the status after it."""
        self._permissions.check(subject, "apply", "Fleet")
        with self._permissions.recorded(subject, "sync", "Fleet"):
            self._refresh(subject)
        return views.status(self._state)

    def apply(
        self, subject: Subject, rev: str | None, saved: dict[str, Any] | None, allow_removals: int
    ) -> dict[str, Any]:
        """Bring a revision of the tracked branch into force now; the apply's first progress.

        A revision moves every node that it concerns: who may apply to some nodes only is refused.
        """
        self._permissions.check(subject, "apply", "Association")
        with self._permissions.recorded(subject, "apply", rev or "the head"):
            view = binding.read_saved(saved) if saved is not None else None
            wanted = rev or (view["commit"] if view is not None else None)
            self._try_to_refresh(subject, wanted)
            for _ in range(TRIES):
                head = self._state.head
                loaded = self._catalogs.at(self._sync.target(wanted))
                started = self._loop.call(lambda: self._apply(subject, head, loaded, view, allow_removals))  # noqa: B023  # it is called before the next turn
                if started is not None:
                    return started
            raise Unavailable("the tracked branch", "it moves faster than it can be applied", 1.0)

    def retire(self, subject: Subject, name: str) -> dict[str, Any]:
        """Empty a node for good."""
        world = self._state.world
        reach = self._permissions.reach(subject, "retire", "Node", world.nodes)
        with self._permissions.recorded(subject, "retire", name):
            entry = _entry(name, world, reach)
            self._loop.call(lambda: self._retire(subject, entry))
        return {"id": entry.id, "name": entry.name, "state": "Retired"}

    def create_token(
        self, subject: Subject, node: str | None, labels: Mapping[str, str], ttl_seconds: int
    ) -> dict[str, Any]:
        """A join token, shown once. Its labels select, so they have to be within the subject's reach."""
        self._permissions.require_new_node(subject, node or "", labels)
        create = self._enrolments.create_token
        with self._permissions.recorded(subject, "enroll", node or "*"):
            return {"token": self._loop.call(lambda: create(subject, node or "", labels, ttl_seconds))}

    # How

    def _readable(self, subject: Subject, name: str) -> NodeEntry:
        world = self._state.world
        return _entry(name, world, self._permissions.reach(subject, "read", "Node", world.nodes))

    def _refresh(self, subject: Subject) -> None:
        self._sync.refresh(self._reconciler.cause(subject, "sync"))

    def _try_to_refresh(self, subject: Subject, rev: str | None) -> str:
        """Why it may not be known what is newest. A remote that is down keeps nobody from what is here by its name."""
        try:
            self._refresh(subject)
        except Unavailable as problem:
            if rev is None or self._state.head is None:
                raise
            return f"there may be newer commits: {problem}"
        return ""

    def _catalog(self) -> Catalog:
        if self._state.catalog is None:
            raise Waiting(self._state.problems.get("fetch") or "a first commit on the tracked branch")
        return self._state.catalog

    def _plan(self, subject: Subject, rev: str | None, stale: str) -> PlanView:
        commit = self._source.resolve(rev) if rev else self._state.head
        if commit is None:
            raise Waiting(self._state.problems.get("fetch") or "a first commit on the tracked branch")
        loaded = self._catalogs.at(commit)
        catalog, world = loaded.catalog, self._state.world
        plan, gated = self._planner.judged(catalog, world)
        reach = self._permissions.reach(subject, "plan", "Association", plan.nodes)
        plan, gated, world = within(reach, plan, gated, world)
        contents = FileContents(self._source, self._store.body, catalog)
        render = self._renderer.for_plan()
        view = draw(plan, gated, catalog, world, self._store.body, contents, render, live=True).view()
        view["warnings"] += [text for text in (loaded.access_problem, stale) if text]
        started = {uid: last.fingerprint for uid, last in automated.last_in(self._store.settings()).items()}
        view["warnings"] += automated.announced(catalog, started)
        view["warnings"] += views.unreached(self._state, plan.nodes, reach)
        return view

    def _apply(
        self, subject: Subject, head: str | None, loaded: Loaded, saved: PlanView | None, allow_removals: int
    ) -> dict[str, Any] | None:
        """None where something else came into force or was fetched meanwhile: what was judged may be so no more."""
        if self._state.head != head or not self._sync.is_current(loaded):
            return None
        self._keeper.make_sure()
        catalog, world = loaded.catalog, self._state.world
        reach = self._permissions.reach(subject, "apply", "Association", world.nodes)
        if world.nodes.everyone & ~reach:
            remedy = "merging to the tracked branch is open to you"
            raise Refused(f"{subject.name} may apply to some nodes only, and a revision moves all", "access", remedy)
        plan, _ = self._planner.judged(catalog, world, allow_removals=allow_removals)
        dropped = binding.bound(plan, catalog, saved, self._store.body) if saved is not None else []
        limits = Limits(catalog.fleet.max_removals, allow_removals)
        binding.require_named_removals(plan, replace(world, nodes=plan.nodes), limits)
        cause = self._reconciler.cause(subject, f"apply {catalog.commit}")
        apply = apply_of(plan, catalog, world, cause, dropped)
        detail = f"{len(apply.pairs)} associations, {apply.removals} removals"
        audit = AuditRow(cause.at, subject.name, "apply", catalog.commit, "started", cause.id, detail)
        self._keeper.commit(Changes(at=cause.at, audit=(audit,)))
        remember(self._state.applies, apply)
        self._sync.bring_into_force(loaded, cause)
        self._reconciler.resume(cause)
        self._reconciler.round(cause, allow_removals=allow_removals)
        visits = self._visits.hurry()
        if visits:
            apply = replace(apply, visits=visits, known=len(world.nodes.entries))
            remember(self._state.applies, apply)
        return progress(self._state, apply)

    def _retire(self, subject: Subject, entry: NodeEntry) -> None:
        if entry.id not in self._state.world.nodes.bits:
            raise Refused(f"{entry.name} was retired meanwhile", "node")
        self._enrolments.retire(subject, entry)


def _entry(name: str, world: World, reach: NodeSet) -> NodeEntry:
    """A node by name or id. One beyond reach is not known, and neither is its name told."""
    entry = world.nodes.entry(name)
    if entry is None or not world.nodes.named(entry.id) & reach:
        close = nearest(name, world.nodes.names(reach & world.nodes.everyone))
        raise Refused(f"no node named {name} is known to you", "node", f"did you mean {close}?" if close else "")
    return entry
