"""What people and programs may ask of automations: start, look, answer, stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.capabilities.changes import automation
from reconciler.capabilities.changes.automation import AskApproval, Cancelled, Signalled
from reconciler.controller.automation import views
from reconciler.controller.automation.beginning import AUTOMATION, Wanted
from reconciler.controller.automation.going import read_events
from reconciler.controller.document_orders import BROUGHT, Asked, short_targets
from reconciler.core.effect import effect_id, job_id
from reconciler.core.problem import Problem, Refused
from reconciler.core.records import AuditRow
from reconciler.core.select import Target
from reconciler.documents import document as documents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.capabilities.changes.automation.events import Mode, Signal
    from reconciler.controller.automation.beginning import Beginnings
    from reconciler.controller.automation.desk import AutomationDesk
    from reconciler.controller.automation.going import Going
    from reconciler.controller.automation.runbooks import Runbooks
    from reconciler.controller.document_orders import DocumentOrders
    from reconciler.controller.loop import Loop
    from reconciler.controller.permissions import Permissions
    from reconciler.controller.reconcile import Reconciler
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.executions import ExecutionRow
    from reconciler.core.ports import Store

VERBS: Mapping[str, str] = {
    "Approve": "approve",
    "Reject": "approve",
    "StartStep": "signal",
    "StopStep": "signal",
    "Resume": "signal",
}
"""The verb that each signal needs."""


class StartWanted(Asked, Protocol):
    """A runbook that somebody wants executed, and how."""

    @property
    def mode(self) -> Mode: ...
    @property
    def target_parameter_name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class StartAsked:
    """`StartWanted` as a program of this side makes it."""

    document: str | None
    content: str | None = None
    path: str = "document"
    parameters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mode: Mode = "Auto"
    targets: Sequence[str] = ()
    target_parameter_name: str = ""
    max_concurrency: str = automation.CONCURRENCY
    max_errors: str = automation.ERRORS


class AutomationRuns:
    """Implements the API's `Automations`. Methods may be called from any thread."""

    def __init__(
        self,
        state: State,
        loop: Loop,
        store: Store,
        reconciler: Reconciler,
        permissions: Permissions,
        shelf: Shelf,
        orders: DocumentOrders,
        beginnings: Beginnings,
        desk: AutomationDesk,
        runbooks: Runbooks,
    ) -> None:
        self._state, self._loop, self._store, self._reconciler = state, loop, store, reconciler
        self._permissions, self._shelf, self._orders = permissions, shelf, orders
        self._beginnings, self._desk, self._runbooks = beginnings, desk, runbooks

    def start(self, subject: Subject, asked: StartWanted) -> dict[str, Any]:
        """Start an execution; how it stands, with its id under `execution`."""
        kind = BROUGHT if asked.content is not None else AUTOMATION
        self._permissions.check(subject, "start", kind)
        with self._permissions.recorded(subject, "start", asked.document or asked.path):
            self._orders.require_thaw()
            if asked.content is not None:
                text = asked.content.encode()
                document = documents.load(text, asked.path)
            else:
                document = self._shelf.named(asked.document or "")
                text = self._shelf.text(document)
            cause = self._reconciler.cause(subject, f"start {document.name}")
            fleet_id = self._state.world.fleet_id
            beginning = self._beginnings.of(
                document,
                text,
                _wanted(asked),
                subject,
                execution=job_id(cause.at, effect_id(fleet_id, f"Automation/{document.name}", 0, cause.id, 0)),
                at=cause.at,
                kind=kind,
            )
            row = self._loop.call(lambda: self._desk.begin(beginning))
        return self._view(row.id)

    def list(self, subject: Subject, limit: int, parent: str | None = None) -> list[dict[str, Any]]:
        """Executions, newest first; with `parent` those that this one started."""
        self._permissions.check(subject, "read", AUTOMATION)
        return [views.listed(row) for row in self._store.executions(limit=limit, parent=parent)]

    def show(self, subject: Subject, execution: str) -> dict[str, Any]:
        """An execution with its timeline."""
        self._permissions.check(subject, "read", AUTOMATION)
        return self._view(execution)

    def signal(self, subject: Subject, execution: str, signal: Signal, comment: str) -> dict[str, Any]:
        """Answer an execution: approve or reject, let a step begin or end, or let it go on; how it stands then."""
        self._permissions.check(subject, VERBS[signal], AUTOMATION)
        catalog = self._state.catalog
        roles = tuple(catalog.operators[subject.name].roles) if catalog and subject.name in catalog.operators else ()

        def say() -> None:
            going = self._desk.going(execution)
            _require_waiting(going, signal, subject.name, roles)
            at = self._reconciler.cause(subject, signal).at
            audit = AuditRow(at, subject.name, signal.lower(), going.row.document, "said", execution, comment)
            self._desk.say(execution, Signalled(at, signal, subject.name, roles, comment), audit)

        with self._permissions.recorded(subject, signal.lower(), execution):
            self._loop.call(say)
        return self._view(execution)

    def stop(self, subject: Subject, execution: str, reason: str) -> dict[str, Any]:
        """Ask for its end: what `onCancel` names still runs. A second time, nothing more does."""
        self._permissions.check(subject, "stop", AUTOMATION)

        def say() -> None:
            going = self._desk.going(execution)
            at = self._reconciler.cause(subject, "stop").at
            audit = AuditRow(at, subject.name, "stop", going.row.document, "asked", execution, reason)
            self._desk.say(execution, Cancelled(at, subject.name, reason), audit)

        with self._permissions.recorded(subject, "stop", execution):
            self._loop.call(say)
        return self._view(execution)

    def row(self, execution: str) -> ExecutionRow:
        """An execution as lists have it, whoever asks. `Refused` where there is none."""
        row = self._store.execution(execution)
        if row is None:
            raise Refused(f"no execution {execution:.40} is known", "automation", "see opsctl automation list")
        return row

    def _view(self, execution: str) -> dict[str, Any]:
        row = self.row(execution)
        events = read_events(self._store, execution)
        started = automation.replay(events[:1]).started
        children = self._store.executions(limit=10_000, parent=execution) if started and started.rate else ()
        runbook = self._runbooks.of(row.source_digest)
        view = views.whole(row, None if isinstance(runbook, Problem) else runbook, events, children)
        return {**view, "waitsFor": view["waitsFor"] or self._desk.waits_for(execution)}


def _wanted(asked: StartWanted) -> Wanted:
    return Wanted(
        asked.parameters,
        asked.mode,
        _targets(asked.targets),
        asked.target_parameter_name,
        asked.max_concurrency,
        asked.max_errors,
    )


def _targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Targets as people write them; `ParameterValues=a,b` lists what the parameter gets."""
    listed = [text.partition("=")[2] for text in texts if text.startswith("ParameterValues=")]
    if listed:
        return (Target("ParameterValues", tuple(value for text in listed for value in text.split(","))),)
    return short_targets(texts) if texts else ()


def _require_waiting(going: Going, signal: Signal, by: str, roles: tuple[str, ...]) -> None:
    """Raises `Refused` for a signal that nobody waits for, or that is not this person's to give."""
    state, running = going.state, going.state.running
    if signal in ("Approve", "Reject"):
        asks = [effect for effect in automation.awaited(state) if isinstance(effect, AskApproval)]
        if not asks:
            raise Refused(f"the execution {going.row.id} waits for no approval", "automation")
        if not automation.is_approver(asks[0].approvers, by, roles):
            raise Refused(f"{by} is none of its approvers: {', '.join(asks[0].approvers)}", "approvers")
        return
    waits = {
        "StartStep": state.held and running is None,
        "StopStep": running is not None,
        "Resume": (running is not None and running.begun.action == "aws:pause") or (state.interactive and not running),
    }
    if not waits[signal]:
        raise Refused(f"the execution {going.row.id} does not wait for {signal}", "automation")
