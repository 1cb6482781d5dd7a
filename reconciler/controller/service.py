"""What people and programs may ask for: each method checks the subject's verb, then asks the loop."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import instant
from reconciler.controller import applies
from reconciler.controller.contents import FileContents
from reconciler.core import access, nodeset
from reconciler.core import world as worlds
from reconciler.core.problem import Refused, Waiting, nearest
from reconciler.core.records import AuditRow, Changes
from reconciler.engine import contexts
from reconciler.engine.explain import explain
from reconciler.engine.gate import Limits
from reconciler.engine.plan import resolve_targets
from reconciler.engine.preview import preview

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.enrolment import Enrolments
    from reconciler.controller.loop import Loop
    from reconciler.controller.reconcile import Reconciler
    from reconciler.controller.state import State
    from reconciler.controller.sync import Sync
    from reconciler.core.access import Subject
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.ports import Clock, Source, Store
    from reconciler.core.records import StateRow
    from reconciler.engine.catalog import Catalog
    from reconciler.engine.explain import Reason
    from reconciler.execute import Executor


class ControllerService:
    """Implements the API's `Service`. Methods may be called from any thread."""

    def __init__(
        self,
        state: State,
        loop: Loop,
        store: Store,
        source: Source,
        clock: Clock,
        sync: Sync,
        reconciler: Reconciler,
        enrolments: Enrolments,
        executor: Executor,
    ) -> None:
        self._state, self._loop, self._store, self._source, self._clock = state, loop, store, source, clock
        self._sync, self._reconciler, self._enrolments, self._executor = sync, reconciler, enrolments, executor

    def operator_of(self, key: str) -> str | None:
        """The operator whose key this is, by the access files in force."""
        wanted = key.split()[:2]
        catalog = self._state.catalog
        for name, operator in catalog.operators.items() if catalog else ():
            if any(line.split()[:2] == wanted for line in operator.keys):
                return name
        return None

    def status(self, subject: Subject) -> dict[str, Any]:
        """Where the fleet stands: the revision in force, what holds newer ones back, totals."""
        self._check(subject, "read", "Fleet")
        return self._loop.call(self._status)

    def plan(self, subject: Subject, rev: str | None, base: str | None) -> dict[str, Any]:
        """What a revision (the head, where None) would change on the live fleet. Nothing of it runs."""
        self._check(subject, "plan", "Association")
        if base is not None:
            raise Refused("--base compares Git with Git", "plan", "leave out --server, or leave out --base")
        self._fetch()
        return self._loop.call(lambda: self._plan(rev))

    def apply(
        self, subject: Subject, rev: str | None, saved: dict[str, Any] | None, allow_removals: int
    ) -> dict[str, Any]:
        """Bring a revision of the tracked branch into force now; the apply's first progress."""
        self._check(subject, "apply", "Association")
        self._fetch()
        return self._loop.call(lambda: self._apply(subject, rev, saved, allow_removals))

    def apply_status(self, subject: Subject, apply_id: str) -> dict[str, Any]:
        self._check(subject, "read", "Fleet")
        return self._loop.call(lambda: self._apply_status(apply_id))

    def sync(self, subject: Subject) -> dict[str, Any]:
        """Fetch now; the status after it."""
        self._check(subject, "apply", "Fleet")
        self._fetch()
        return self._loop.call(self._status)

    def nodes(self, subject: Subject) -> list[dict[str, Any]]:
        reach = self._reach(subject, "read", "Node")
        return self._loop.call(lambda: self._nodes(reach))

    def node(self, subject: Subject, name: str) -> dict[str, Any]:
        reach = self._reach(subject, "read", "Node")
        return self._loop.call(lambda: self._node(name, reach))

    def retire(self, subject: Subject, name: str) -> dict[str, Any]:
        """Empty a node for good and forget it once it was told."""
        reach = self._reach(subject, "retire", "Node")
        return self._loop.call(lambda: self._retire(subject, name, reach))

    def create_token(
        self, subject: Subject, node: str | None, labels: Mapping[str, str], ttl_seconds: int
    ) -> dict[str, Any]:
        """A join token, shown once."""
        self._check(subject, "enroll", "Node")
        create = self._enrolments.create_token
        return {"token": self._loop.call(lambda: create(subject, node or "", labels, ttl_seconds))}

    def explain(self, subject: Subject, node: str, claim: str | None) -> dict[str, Any]:
        reach = self._reach(subject, "explain", "Node")
        return self._loop.call(lambda: self._explain(node, claim, reach))

    def conditions(self, subject: Subject) -> list[dict[str, Any]]:
        self._check(subject, "read", "Fleet")
        return self._loop.call(lambda: [_condition(item) for item in self._catalog().conditions])

    def audit(self, subject: Subject, limit: int) -> list[dict[str, Any]]:
        self._check(subject, "read", "Fleet")
        return [asdict(row) | {"at": instant(row.at)} for row in self._store.audit(limit=min(limit, 1000))]

    def _fetch(self) -> None:
        """On the caller's thread; a remote that is down is the caller's to hear of."""
        self._sync.refresh(self._loop.call)

    def _grants(self, subject: Subject) -> list[access.Grant]:
        catalog = self._state.catalog
        return catalog.grants_of(subject.name) if catalog is not None else []

    def _check(self, subject: Subject, verb: str, kind: str) -> None:
        if not access.may(subject, verb, kind, self._grants(subject)):
            now = self._clock.now_ms()
            self._store.commit(Changes(audit=(AuditRow(now, subject.name, verb, kind, "refused"),)))
            raise Refused(f"{subject.name} may not {verb} {kind}", "access", "ask for a Role that grants it")

    def _reach(self, subject: Subject, verb: str, kind: str) -> NodeSet:
        self._check(subject, verb, kind)
        return self._loop.call(lambda: self._reach_now(subject, verb, kind))

    def _reach_now(self, subject: Subject, verb: str, kind: str) -> NodeSet:
        nodes = self._state.world.nodes
        catalog = self._state.catalog
        everyone = nodes.everyone
        if subject.everything or catalog is None:
            return everyone if subject.everything else 0
        resolve = catalog.resolver(nodes)
        return access.reach(subject, verb, kind, self._grants(subject), everyone, resolve)

    def _catalog(self) -> Catalog:
        if self._state.catalog is None:
            raise Waiting(self._state.fetch_problem or "a first commit on the tracked branch")
        return self._state.catalog

    def _status(self) -> dict[str, Any]:
        state = self._state
        world, catalog = state.world, state.catalog
        failing = drifted = 0
        for columns in world.columns.values():
            failing |= columns.failed
            drifted |= columns.drifted
        return {
            "fleet": world.fleet_id,
            "revision": world.revision,
            "head": state.head,
            "sync": catalog.fleet.sync if catalog else None,
            "fetchedAt": instant(state.fetched_at) if state.fetched_at else None,
            "problems": [text for text in (state.fetch_problem, state.access_problem) if text],
            "nodes": nodeset.size(world.nodes.everyone),
            "online": nodeset.size(world.online),
            "failing": nodeset.size(failing),
            "drifted": nodeset.size(drifted),
            "associations": len(catalog.compiled) if catalog else 0,
            "conditions": [_condition(item) for item in catalog.conditions] if catalog else [],
            "conflicts": [str(conflict) for conflict in state.plan.conflicts] if state.plan else [],
            "held": {uid: release.held_for for uid, release in world.releases.items() if release.held_for},
            "waits": applies.waits(state),
        }

    def _plan(self, rev: str | None) -> dict[str, Any]:
        commit = self._source.resolve(rev) if rev else self._state.head
        if commit is None:
            raise Waiting(self._state.fetch_problem or "a first commit on the tracked branch")
        catalog = self._sync.catalog(commit)
        plan, gated = self._reconciler.judged(catalog)
        contents = FileContents(self._source, self._store.body, catalog)
        view = preview(plan, gated, catalog, self._state.world, self._store.body, contents, live=True)
        return dict(view)

    def _apply(
        self, subject: Subject, rev: str | None, saved: dict[str, Any] | None, allow_removals: int
    ) -> dict[str, Any]:
        if saved is not None and rev is None:
            rev = str(saved.get("commit") or "") or None
        commit = self._sync.target(rev)
        catalog = self._sync.catalog(commit)
        world = self._state.world
        if self._reach_now(subject, "apply", "Association") != world.nodes.everyone:
            remedy = "merging to the tracked branch is open to you"
            raise Refused(f"{subject.name} may apply to some nodes only, and a revision moves all", "access", remedy)
        plan, _ = self._reconciler.judged(catalog, allow_removals=allow_removals)
        dropped = applies.bound(plan, saved) if saved is not None else []
        applies.unbraked(plan, replace(world, nodes=plan.nodes), Limits(catalog.fleet.max_removals, allow_removals))
        cause = self._reconciler.cause(subject, f"apply {commit}")
        apply = applies.record(plan, catalog, world, cause, subject, dropped)
        applies.remember(self._state, apply)
        audit = AuditRow(
            cause.at, subject.name, "apply", commit, "started", cause.id, f"{len(apply.pairs)} associations"
        )
        self._store.commit(Changes(audit=(audit,)))
        self._sync.bring_into_force(catalog)
        self._reconciler.resume(cause)
        self._reconciler.round(cause, allow_removals=allow_removals)
        return applies.progress(self._state, apply)

    def _apply_status(self, apply_id: str) -> dict[str, Any]:
        apply = self._state.applies.get(apply_id)
        if apply is None:
            raise Refused(f"no apply {apply_id} is remembered", "apply", "see opsctl status")
        return applies.progress(self._state, apply)

    def _nodes(self, reach: NodeSet) -> list[dict[str, Any]]:
        world = self._state.world
        bad, failing = _trouble(world)
        rows = []
        for row in self._store.nodes():
            node = world.nodes.named(row.id)
            if row.retired_at is None and node & reach:
                rows.append(self._node_row(row.id, node, bad, failing))
        declared = self._state.catalog.names("Node") if self._state.catalog else ()
        known = world.nodes.by_name
        rows += [{"name": name, "id": "", "state": "NotEnrolled"} for name in declared if name not in known]
        return sorted(rows, key=lambda row: str(row["name"]))

    def _node_row(self, node_id: str, node: NodeSet, bad: NodeSet, failing: NodeSet) -> dict[str, Any]:
        state, entry = self._state, self._state.world.nodes.entry(node_id)
        assert entry is not None
        life = state.life(node_id)
        return {
            "id": node_id,
            "name": entry.name,
            "state": "Online" if state.world.online & node else "ConnectionLost",
            "compliance": "NON_COMPLIANT" if bad & node else "COMPLIANT" if _told(state.world, node) else "UNKNOWN",
            "failing": bool(failing & node),
            "labels": dict(entry.labels),
            "lastSeen": instant(life.last_seen) if life.last_seen else None,
            "checkedAt": life.checked_at or None,
        }

    def _node(self, name: str, reach: NodeSet) -> dict[str, Any]:
        entry = self._entry(name, reach)
        world = self._state.world
        row = self._store.node(entry.id)
        assert row is not None
        bad, failing = _trouble(world)
        node = world.nodes.named(entry.id)
        states = {state.uid: state for state in self._store.states(node_ids=[entry.id])}
        assignments = []
        for given in self._store.assignments_of(entry.id):
            state = states.get(given.uid)
            assignments.append(
                {
                    "uid": given.uid,
                    "generation": given.generation,
                    "bodyDigest": given.body_digest,
                    "held": given.held,
                    "status": given.status or "Pending",
                    "compliance": given.compliance,
                    "reason": state.reason if state else "",
                    "since": instant(state.since) if state else None,
                    "findings": json.loads(state.findings) if state else [],
                }
            )
        return self._node_row(entry.id, node, bad, failing) | {
            "agentVersion": row.agent_version,
            "platform": row.platform,
            "enrolledAt": instant(row.enrolled_at),
            "serial": row.serial,
            "facts": json.loads(row.facts),
            "assignments": assignments,
        }

    def _entry(self, name: str, reach: NodeSet) -> worlds.NodeEntry:
        nodes = self._state.world.nodes
        entry = nodes.entry(name)
        if entry is None or not nodes.named(entry.id) & reach:
            close = nearest(name, nodes.by_name)
            raise Refused(f"no node named {name} is known to you", "node", f"did you mean {close}?" if close else "")
        return entry

    def _retire(self, subject: Subject, name: str, reach: NodeSet) -> dict[str, Any]:
        entry = self._entry(name, reach)
        now = self._clock.now_ms()
        audit = AuditRow(now, subject.name, "retire", entry.name, entry.id)
        self._executor.commit(Changes(retired=(entry.id,), audit=(audit,)), [entry.id])
        world = self._state.world
        gone = world.nodes.named(entry.id)
        columns = {uid: held for uid, was in world.columns.items() if (held := was.withdrawn(gone)).given}
        nodes = worlds.without(world.nodes, [entry.id])
        self._state.world = replace(
            world, sequence=world.sequence + 1, nodes=nodes, columns=columns, online=world.online & ~gone
        )
        self._state.dirty = True
        return {"id": entry.id, "name": entry.name, "state": "Retired"}

    def _explain(self, name: str, claim: str | None, reach: NodeSet) -> dict[str, Any]:
        catalog, state = self._catalog(), self._state
        plan, gated = self._reconciler.judged(catalog)
        rows: list[StateRow] = []
        if name in plan.not_enrolled:
            nodes = contexts.declared(catalog)
            plan = replace(plan, nodes=nodes, targets=resolve_targets(catalog, nodes))
            gated, world = replace(gated, verdicts=()), replace(state.world, columns={}, nodes=worlds.Nodes())
        else:
            entry, world = self._entry(name, reach), state.world
            name, rows = entry.name, self._store.states(node_ids=[entry.id])
        found = explain(name, claim, catalog, plan, gated.verdicts, world, rows)
        return {
            "node": name,
            "claim": claim,
            "revision": state.world.revision,
            "reasons": [self._reason(reason) for reason in found],
        }

    def _reason(self, reason: Reason) -> dict[str, Any]:
        """With the commit that last wrote the step, or the file that it takes its content from."""
        written = self._source.lines_written(reason.revision, reason.place.path)
        oids = set(written[max(0, reason.place.line - 1) : reason.until or None])
        oids |= {self._source.last_change(reason.revision, path, 0).oid for path in reason.sources}
        commit = max((self._source.commit(oid) for oid in oids), key=lambda found: found.at)
        return asdict(reason) | {
            "place": str(reason.place),
            "declared": str(reason.declared),
            "since": instant(reason.since) if reason.since else None,
            "commit": commit.oid,
            "author": commit.author,
            "committedAt": instant(commit.at),
            "subject": commit.subject,
        }


def _condition(condition: Any) -> dict[str, Any]:
    return {
        "uid": condition.uid,
        "type": condition.kind,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "findings": [str(finding) for finding in condition.findings],
    }


def _trouble(world: worlds.World) -> tuple[NodeSet, NodeSet]:
    """(nodes with anything not compliant, nodes with anything failed)."""
    bad = failing = nodeset.EMPTY
    for columns in world.columns.values():
        bad |= columns.reported & ~columns.converged
        failing |= columns.failed
    return bad, failing


def _told(world: worlds.World, node: NodeSet) -> bool:
    """Whether the node has something and has reported on all of it."""
    having = [columns for columns in world.columns.values() if columns.anywhere & node]
    return bool(having) and all(columns.reported & node for columns in having)
