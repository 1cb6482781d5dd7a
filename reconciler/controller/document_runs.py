"""Documents run on nodes, once, as people and programs ask for it: may they, what becomes of the document, where to.

A document of the repository is run by its name, as the revision in force has it; one that somebody brings along was
reviewed by nobody, so that to run it is a right of its own (kind `Content`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.controller.automation.runs import StartAsked
from reconciler.controller.document_orders import BROUGHT, OF_THE_REPOSITORY, Asked, short_targets
from reconciler.core.effect import Cancel
from reconciler.core.problem import Refused
from reconciler.documents import document as documents
from reconciler.engine.commands import left

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from reconciler.controller.automation.runs import AutomationRuns
    from reconciler.controller.commands import CommandDesk
    from reconciler.controller.document_orders import DocumentOrders
    from reconciler.controller.loop import Loop
    from reconciler.controller.permissions import Permissions
    from reconciler.controller.reconcile import Reconciler
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.commands import CommandRow, InvocationRow, Left
    from reconciler.documents.document import Document

OUTPUT_AT_ONCE = 256 * 1024
COMMAND = "Command"
"""The kind that the verbs `cancel` and `read` are granted on."""


class RunWanted(Asked, Protocol):
    """What somebody wants run on nodes, and how."""

    @property
    def timeout_seconds(self) -> int: ...
    @property
    def check(self) -> bool: ...
    @property
    def comment(self) -> str: ...


class DocumentRuns:
    """Implements the API's `Commands`. Methods may be called from any thread."""

    def __init__(
        self,
        state: State,
        loop: Loop,
        reconciler: Reconciler,
        permissions: Permissions,
        desk: CommandDesk,
        shelf: Shelf,
        orders: DocumentOrders,
        automations: AutomationRuns,
    ) -> None:
        self._state, self._loop = state, loop
        self._reconciler, self._permissions, self._desk = reconciler, permissions, desk
        self._shelf, self._orders, self._automations = shelf, orders, automations

    def run(self, subject: Subject, asked: RunWanted) -> dict[str, Any]:
        """Run a document on nodes now; the command's progress. One of type Automation starts an execution instead."""
        kind = BROUGHT if asked.content is not None else OF_THE_REPOSITORY
        self._permissions.check(subject, "run", kind)
        with self._permissions.recorded(subject, "run", asked.document or asked.path):
            document = self._document(asked)
            if document.type == "Automation":
                if asked.check:
                    raise Refused(f"{document.name} is an Automation document, and has no dry run", "document")
                if asked.targets:
                    remedy = "opsctl automation start NAME --targets TARGET --target-parameter-name PARAMETER"
                    raise Refused(f"{document.name} is an Automation document: nodes do not run it", "document", remedy)
                return self._automations.start(
                    subject, StartAsked(asked.document, asked.content, asked.path, asked.parameters)
                )
            reviewed = asked.content is None and self._shelf.is_reviewed(document)
            effect, files = self._orders.order(
                subject,
                OF_THE_REPOSITORY if reviewed else BROUGHT,
                document,
                asked.parameters,
                short_targets(asked.targets),
                max_concurrency=asked.max_concurrency,
                max_errors=asked.max_errors,
                delivery_timeout=asked.timeout_seconds,
                check=asked.check,
                comment=asked.comment,
                reviewed=reviewed,
            )
            cause = self._reconciler.cause(subject, f"run {document.name}")
            row = self._loop.call(lambda: self._desk.dispatch(effect, cause, files))
        return self._desk.view(row, self._desk.invocations(row.id))

    def list(self, subject: Subject, limit: int) -> list[dict[str, Any]]:
        """Commands, newest first, without their invocations."""
        self._permissions.check(subject, "read", COMMAND)
        return [self._desk.view(row, ()) for row in self._desk.newest(limit)]

    def show(self, subject: Subject, command_id: str) -> dict[str, Any]:
        """A command and its invocations within reach."""
        row = self._desk.find(command_id)
        return self._desk.view(row, self._seen(subject, row))

    def cancel(self, subject: Subject, command_id: str) -> dict[str, Any]:
        """Ask for its end; its progress. Who may cancel on some of its nodes only is refused."""
        world = self._state.world
        reach = self._permissions.reach(subject, "cancel", COMMAND, world.nodes)
        with self._permissions.recorded(subject, "cancel", command_id):
            row = self._desk.find(command_id)
            nodes = world.nodes.listed([one.node_id for one in self._desk.invocations(row.id)])
            if nodes & ~reach:
                raise Refused(f"{subject.name} may not cancel {command_id} on all of its nodes", "access")
            cause = self._reconciler.cause(subject, f"cancel {command_id}")
            row = self._loop.call(lambda: self._desk.cancel(Cancel(command_id), cause))
        return self._desk.view(row, self._desk.invocations(row.id))

    def retry(self, subject: Subject, command_id: str, which: Collection[Left]) -> dict[str, Any]:
        """Run the same again on those nodes of a command where it did not succeed, as these words say.

        What is run is what was run: the body that the first one had, whatever became of its document since.
        """
        with self._permissions.recorded(subject, "retry", command_id):
            row = self._desk.find(command_id)
            chosen = [one.node_id for one in left(self._desk.invocations(row.id), which)]
            words = "+".join(sorted(which))
            effect = self._orders.again(subject, row, self._desk.body(row), chosen, f"{words} of {row.id}")
            cause = self._reconciler.cause(subject, f"retry {command_id}")
            again = self._loop.call(lambda: self._desk.dispatch(effect, cause, {}))
        return self._desk.view(again, self._desk.invocations(again.id))

    def output(
        self, subject: Subject, command_id: str, job_id: str, step: str, stream: str, offset: int
    ) -> dict[str, Any]:
        """Part of what a step says, from `offset` on."""
        row = self._desk.find(command_id)
        if all(one.job_id != job_id for one in self._seen(subject, row)):
            raise Refused(f"no job {job_id:.40} of command {command_id} is known to you", "output")
        data = self._desk.read(job_id, step, stream, offset, OUTPUT_AT_ONCE)
        return {"data": base64.b64encode(data).decode(), "next": offset + len(data)}

    # How

    def _document(self, asked: RunWanted) -> Document:
        if asked.content is not None:
            return documents.load(asked.content.encode(), asked.path)
        return self._shelf.named(asked.document or "")

    def _seen(self, subject: Subject, row: CommandRow) -> Sequence[InvocationRow]:
        """A command's invocations within reach. Who asked for it sees all of it."""
        invocations = self._desk.invocations(row.id)
        if subject.name == row.subject:
            return invocations
        world = self._state.world
        reach = self._permissions.reach(subject, "read", COMMAND, world.nodes)
        return [one for one in invocations if world.nodes.named(one.node_id) & reach]
