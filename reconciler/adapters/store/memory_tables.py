"""One fleet's rows in dictionaries, and what a `Changes` makes of them: checked whole first, so all or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from agent.contract.wire import STATUSES
from reconciler.adapters.store.rules import check_body, check_given, check_known, check_release, check_token, touched
from reconciler.core import records
from reconciler.core.problem import Defect

if TYPE_CHECKING:
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.executions import ExecutionRow


@dataclass(slots=True)
class Tables:
    """Assignments by (uid, node id), states by (node id, uid), releases by (uid, generation); effects keep order."""

    incarnation: int
    fence: int = 0
    lease_holder: str = ""
    lease_expires_at: int = 0
    nodes: dict[str, records.NodeRow] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    releases: dict[tuple[str, int], records.ReleaseRow] = field(default_factory=dict)
    assignments: dict[tuple[str, str], records.AssignmentRow] = field(default_factory=dict)
    states: dict[tuple[str, str], records.StateRow] = field(default_factory=dict)
    inventory: dict[tuple[str, str], records.InventoryRow] = field(default_factory=dict)
    leaves: dict[str, records.LeaveRow] = field(default_factory=dict)
    permits: dict[tuple[str, str], records.PermitRow] = field(default_factory=dict)
    tokens: dict[str, records.TokenRow] = field(default_factory=dict)
    commands: dict[str, CommandRow] = field(default_factory=dict)
    invocations: dict[str, InvocationRow] = field(default_factory=dict)
    executions: dict[str, ExecutionRow] = field(default_factory=dict)
    events: dict[str, list[str]] = field(default_factory=dict)
    effects: dict[str, records.EffectRow] = field(default_factory=dict)
    audit: list[records.AuditRow] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def commit(self, changes: records.Changes) -> None:
        self._check(changes)
        self.bodies = {**changes.bodies, **self.bodies}
        for token in changes.tokens:
            self.tokens[token.id] = token
        for node in changes.nodes:
            self.nodes[node.id] = _said(self.nodes.get(node.id), node)
        for release in changes.releases:
            key = (release.uid, release.generation)
            self.releases[key] = replace(
                self.releases.get(key, release), held_for=release.held_for, tolerated=release.tolerated
            )
        for some in changes.withdrawn:
            for node_id in some.node_ids:
                self.assignments.pop((some.uid, node_id), None)
                self.permits.pop((some.uid, node_id), None)
        for given in changes.given:
            self._give(given)
        self._hear(changes)
        self.leaves.update((leave.uid, leave) for leave in changes.leaves)
        self.permits.update(((permit.uid, permit.node_id), permit) for permit in changes.permits)
        for pair in changes.states_gone:
            self.states.pop(pair, None)
        for state in changes.states:
            self.states[state.node_id, state.uid] = state
        self.inventory.update(((row.node_id, row.type_name), row) for row in changes.inventory)
        self._live(changes)
        self._command(changes)
        self._execute(changes)
        self._queue(changes)
        self.settings.update(changes.settings)

    def _check(self, changes: records.Changes) -> None:
        for digest, data in changes.bodies.items():
            check_body(digest, data)
        for token in changes.tokens:
            check_token(self.tokens.get(token.id), token)
        for release in changes.releases:
            check_release(self.releases.get((release.uid, release.generation)), release)
        released = {
            (release.uid, release.generation): release for release in reversed(changes.releases)
        } | self.releases
        known = self.nodes.keys() | {node.id for node in changes.nodes}
        for given in changes.given:
            check_given(released.get((given.uid, given.generation)), given)
            check_known(given, len(known.intersection(given.node_ids)))
        if not known.issuperset(row.node_id for row in changes.permits):
            raise Defect("the store refused a change: a permit of a node that is not enrolled")
        commands = self.commands.keys() | {row.id for row in changes.commands}
        if not commands.issuperset(row.command_id for row in changes.invocations):
            raise Defect("the store refused a change: an invocation of no command")
        self._check_events(changes)
        if not known.issuperset(state.node_id for state in changes.states):
            raise Defect("the store refused a change: a state of a node that is not enrolled")
        if not known.issuperset(row.node_id for row in changes.inventory):
            raise Defect("the store refused a change: inventory of a node that is not enrolled")
        for row in changes.reported:
            if row.status not in ("", *STATUSES) or row.compliance not in records.COMPLIANCES:
                raise Defect(f"the store cannot keep a value: {row.status} {row.compliance}")
        self._check_names(changes)

    def _check_events(self, changes: records.Changes) -> None:
        executions = self.executions.keys() | {row.id for row in changes.executions}
        ahead: dict[str, int] = {}
        for row in changes.events:
            number = ahead.get(row.execution, len(self.events.get(row.execution, ())))
            if row.execution not in executions or row.number < number:
                raise Defect("the store refused a change: an event of no execution, or one that it has")
            ahead[row.execution] = row.number + 1

    def _check_names(self, changes: records.Changes) -> None:
        after: dict[str, records.NodeRow] = {}
        holders = {row.name: row.id for row in self.nodes.values() if row.retired_at is None} if changes.nodes else {}
        for node in changes.nodes:
            before = after.get(node.id, self.nodes.get(node.id))
            row = after[node.id] = _said(before, node)
            if row.retired_at is not None:
                continue
            if holders.get(row.name, row.id) != row.id:
                raise Defect(f"the store refused a change: two nodes named {row.name}")
            if before is not None:
                holders.pop(before.name, None)
            holders[row.name] = row.id

    def _give(self, given: records.Given) -> None:
        for node_id in given.node_ids:
            before = self.assignments.get((given.uid, node_id))
            if before is not None and before.generation == given.generation:
                continue
            seq = before.seq if before else 0
            self.assignments[given.uid, node_id] = records.AssignmentRow(
                node_id, given.uid, given.generation, given.body_digest, given.at, seq=seq
            )

    def _hear(self, changes: records.Changes) -> None:
        for node_id, uid, body_digest in changes.held:
            row = self.assignments.get((uid, node_id))
            if row is not None and row.body_digest == body_digest:
                self.assignments[uid, node_id] = replace(row, held=True)
        for said in changes.reported:
            row = self.assignments.get((said.uid, said.node_id))
            if row is not None and row.generation == said.generation and row.seq < said.seq:
                self.assignments[said.uid, said.node_id] = replace(
                    row,
                    held=True,
                    status=said.status,
                    compliance=said.compliance,
                    drifted=said.drifted,
                    seq=said.seq,
                )

    def _command(self, changes: records.Changes) -> None:
        for row in changes.commands:
            known = self.commands.get(row.id, row)
            self.commands[row.id] = replace(
                known,
                status=row.status,
                details=row.details,
                cancelled_by=row.cancelled_by,
                finished_at=row.finished_at,
            )
        self.invocations.update((row.job_id, row) for row in changes.invocations)

    def forget_commands(self, before: int) -> int:
        """Forget those that are over and were asked for before an instant; how many."""
        gone = {row.id for row in self.commands.values() if row.finished_at and row.requested_at < before}
        self.commands = {known: row for known, row in self.commands.items() if known not in gone}
        self.invocations = {job: row for job, row in self.invocations.items() if row.command_id not in gone}
        return len(gone)

    def _execute(self, changes: records.Changes) -> None:
        for row in changes.executions:
            known = self.executions.get(row.id, row)
            self.executions[row.id] = replace(known, status=row.status, reason=row.reason, finished_at=row.finished_at)
        for event in changes.events:
            self.events.setdefault(event.execution, []).append(event.event)

    def forget_executions(self, before: int) -> int:
        """Forget those that are over and began before an instant; how many."""
        gone = {row.id for row in self.executions.values() if row.finished_at and row.started_at < before}
        self.executions = {known: row for known, row in self.executions.items() if known not in gone}
        self.events = {known: events for known, events in self.events.items() if known not in gone}
        return len(gone)

    def _live(self, changes: records.Changes) -> None:
        for node_id, digest in changes.contexts.items():
            if node_id in self.nodes:
                self.nodes[node_id] = replace(self.nodes[node_id], context_digest=digest)
        for node_id, so in changes.unsettled.items():
            if node_id in self.nodes:
                self.nodes[node_id] = replace(self.nodes[node_id], unsettled=so)
        for node_id, at in changes.seen.items():
            if node_id in self.nodes:
                self.nodes[node_id] = replace(self.nodes[node_id], last_seen=_later(self.nodes[node_id].last_seen, at))
        gone = set(changes.retired)
        for node_id in gone & self.nodes.keys():
            row = self.nodes[node_id]
            self.nodes[node_id] = replace(row, retired_at=changes.at if row.retired_at is None else row.retired_at)
        if gone:
            self.assignments = {pair: row for pair, row in self.assignments.items() if row.node_id not in gone}
            self.permits = {pair: row for pair, row in self.permits.items() if row.node_id not in gone}
            self.states = {pair: row for pair, row in self.states.items() if row.node_id not in gone}
            self.inventory = {pair: row for pair, row in self.inventory.items() if row.node_id not in gone}
        for node_id in touched(changes):
            if node_id in self.nodes:
                row = self.nodes[node_id]
                self.nodes[node_id] = replace(row, serial=row.serial + 1)

    def _queue(self, changes: records.Changes) -> None:
        for effect in changes.effects:
            known = self.effects.get(effect.id, effect)
            attempts = max(known.attempts, effect.attempts)
            self.effects[effect.id] = replace(known, attempts=attempts, outcome=known.outcome or effect.outcome)
        for row in changes.audit:
            self.audit.append(replace(row, number=self.audit[-1].number + 1 if self.audit else 1))

    def forget(self, effects_before: int, audit_before: int) -> int:
        """Finished effects and audit rows from before these instants; how many they were."""
        rows = len(self.effects) + len(self.audit)
        self.effects = {
            row.id: row for row in self.effects.values() if not row.outcome or row.created_at >= effects_before
        }
        self.audit = [row for row in self.audit if row.at >= audit_before]
        return rows - len(self.effects) - len(self.audit)


def _said(before: records.NodeRow | None, node: records.NodeRow) -> records.NodeRow:
    """A node's row after it said something of itself."""
    if before is None:
        return node
    return replace(
        node,
        serial=before.serial,
        context_digest=before.context_digest,
        enrolled_at=before.enrolled_at,
        retired_at=before.retired_at,
        unsettled=before.unsettled,
        last_seen=_later(before.last_seen, node.last_seen),
    )


def _later(one: int | None, other: int | None) -> int | None:
    return max((at for at in (one, other) if at is not None), default=None)
