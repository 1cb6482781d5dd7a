"""Documents run on nodes, once, as people and programs ask for it: may they, what becomes of the document, where to.

A document of the repository is run by its name, as the revision in force has it; one that somebody brings along was
reviewed by nobody, so that to run it is a right of its own (kind `Content`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol

from agent.contract.canonical import canonical
from reconciler.capabilities.nodes import fleet
from reconciler.core import nodeset
from reconciler.core.effect import Cancel, Dispatch
from reconciler.core.problem import Finding, Invalid, Place, Refused, Waiting, nearest
from reconciler.core.select import KEYS, known_key, parse_short
from reconciler.documents import document as documents
from reconciler.documents.compile import compile_document
from reconciler.engine.commands import body_of
from reconciler.engine.sources import Sources, Workings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.controller.commands import CommandDesk
    from reconciler.controller.loop import Loop
    from reconciler.controller.permissions import Permissions
    from reconciler.controller.reconcile import Reconciler
    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.manifest import Loc
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.ports import Clock, Source
    from reconciler.core.select import Target
    from reconciler.core.world import World
    from reconciler.documents.compile import Steps
    from reconciler.documents.document import Document
    from reconciler.engine.catalog import Catalog

OUTPUT_AT_ONCE = 256 * 1024
BROUGHT, OF_THE_REPOSITORY, COMMAND = "Content", "Document", "Command"
"""Kinds that the verbs `run`, `cancel` and `read` are granted on."""


class Asked(Protocol):
    """What somebody wants run, and where. `content` is a document brought along, `path` what it is called there."""

    @property
    def document(self) -> str | None: ...
    @property
    def content(self) -> str | None: ...
    @property
    def path(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def targets(self) -> Sequence[str]: ...
    @property
    def max_concurrency(self) -> str: ...
    @property
    def max_errors(self) -> str: ...
    @property
    def timeout_seconds(self) -> int: ...
    @property
    def check(self) -> bool: ...


class DocumentRuns:
    """Implements the API's `Commands`. Methods may be called from any thread."""

    def __init__(
        self,
        state: State,
        loop: Loop,
        source: Source,
        clock: Clock,
        reconciler: Reconciler,
        permissions: Permissions,
        desk: CommandDesk,
    ) -> None:
        self._state, self._loop, self._source, self._clock = state, loop, source, clock
        self._reconciler, self._permissions, self._desk = reconciler, permissions, desk

    def run(self, subject: Subject, asked: Asked) -> dict[str, Any]:
        """Run a document on nodes now; the command's progress."""
        kind = BROUGHT if asked.content is not None else OF_THE_REPOSITORY
        self._permissions.check(subject, "run", kind)
        with self._permissions.recorded(subject, "run", asked.document or asked.path):
            catalog, world = self._catalog(), self._state.world
            frozen = fleet.frozen(catalog.fleet, self._clock.now_ms())
            if frozen and not asked.check:
                raise Refused(frozen, "freeze", "ask with --check, or wait")
            document = self._document(asked, catalog)
            steps = self._compiled(document, asked.parameters, catalog)
            targets = _targets(asked.targets)
            nodes = catalog.resolver(world.nodes)(targets)
            self._require(nodes, self._permissions.reach(subject, "run", kind, world.nodes), targets, world)
            effect = Dispatch(
                document=document.name,
                nodes=nodes,
                body=body_of(document.name, steps, check=asked.check),
                targets=" ".join(map(str, targets)),
                parameters=canonical({name: list(values) for name, values in asked.parameters.items()}).decode(),
                max_concurrency=asked.max_concurrency,
                max_errors=asked.max_errors,
                delivery_timeout=asked.timeout_seconds,
                check=asked.check,
            )
            blobs = self._source.blobs({file.blob for file in steps.files.values()})
            files = {file.ref.digest: blobs[file.blob] for file in steps.files.values()}
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

    def _catalog(self) -> Catalog:
        if self._state.catalog is None:
            raise Waiting(self._state.problems.get("fetch") or "a first commit on the tracked branch")
        return self._state.catalog

    def _document(self, asked: Asked, catalog: Catalog) -> Document:
        if asked.content is not None:
            return documents.load(asked.content.encode(), asked.path)
        found = catalog.documents.get(asked.document or "")
        if found is None:
            near = nearest(asked.document or "", catalog.documents)
            raise Refused(f"there is no document {asked.document}", "document", f"did you mean {near}?" if near else "")
        return found

    def _compiled(self, document: Document, given: Mapping[str, Sequence[str]], catalog: Catalog) -> Steps:
        files = Sources(self._source, self._source.tree(catalog.commit), Workings())
        return compile_document(document, given, files, _parameter_place, at=self._clock.now_ms())

    def _require(self, nodes: NodeSet, reach: NodeSet, targets: Sequence[Target], world: World) -> None:
        if not nodes:
            raise Refused(f"no enrolled node is selected by {' '.join(map(str, targets))}", "targets")
        if nodes & ~reach:
            names = sorted(world.nodes.names(nodes & reach))
            yours = f"{nodeset.size(nodes & ~reach)} of {nodeset.size(nodes)} nodes are beyond your reach"
            raise Refused(yours, "access", f"name those within it: {', '.join(names[:5])}" if names else "")

    def _seen(self, subject: Subject, row: CommandRow) -> Sequence[InvocationRow]:
        """A command's invocations within reach. Who asked for it sees all of it."""
        invocations = self._desk.invocations(row.id)
        if subject.name == row.subject:
            return invocations
        world = self._state.world
        reach = self._permissions.reach(subject, "read", COMMAND, world.nodes)
        return [one for one in invocations if world.nodes.named(one.node_id) & reach]


def _targets(texts: Sequence[str]) -> tuple[Target, ...]:
    targets = tuple(parse_short(text) for text in texts)
    for target in targets:
        if not known_key(target.key):
            finding = Finding(f"there is no target `{target.key}`", Place("--targets"), ", ".join(KEYS))
            raise Invalid((finding,))
    return targets


def _parameter_place(loc: Loc) -> Place:
    return Place(f"-p {loc[0]}" if loc else "-p")
