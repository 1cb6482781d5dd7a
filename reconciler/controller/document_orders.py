"""From a document and its targets to what nodes are to do: may it, what does it compile to, who is it for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent.contract.canonical import canonical
from reconciler.capabilities.nodes import fleet
from reconciler.core import nodeset
from reconciler.core.effect import Dispatch
from reconciler.core.problem import Finding, Invalid, Place, Refused
from reconciler.core.select import KEYS, known_key, parse_short
from reconciler.documents.compile import compile_document
from reconciler.engine.commands import body_of
from reconciler.engine.sources import Sources, Workings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.controller.permissions import Permissions
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.commands import CommandRow
    from reconciler.core.manifest import Loc
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.ports import Clock, Source
    from reconciler.core.select import Target
    from reconciler.core.world import World
    from reconciler.documents.compile import Steps
    from reconciler.documents.document import Document
    from reconciler.engine.catalog import Catalog

BROUGHT, OF_THE_REPOSITORY = "Content", "Document"
"""Kinds that the verb `run` is granted on: what somebody brings along was reviewed by nobody."""


class Asked(Protocol):
    """A document that somebody wants run, and where. `content` is one brought along, `path` what it is called there."""

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


class DocumentOrders:
    """May be asked from any thread. Nothing is decided here but whether it may be."""

    def __init__(self, state: State, source: Source, clock: Clock, permissions: Permissions, shelf: Shelf) -> None:
        self._state, self._source, self._clock = state, source, clock
        self._permissions, self._shelf = permissions, shelf

    def require_thaw(self) -> None:
        """Raises `Refused` while a freeze lasts: nothing is changed anywhere."""
        frozen = fleet.frozen(self._shelf.catalog().fleet, self._clock.now_ms())
        if frozen:
            raise Refused(frozen, "freeze", "ask with --check, or wait")

    def order(
        self,
        subject: Subject,
        kind: str,
        document: Document,
        parameters: Mapping[str, Sequence[str]],
        targets: Sequence[Target],
        *,
        max_concurrency: str,
        max_errors: str,
        delivery_timeout: int,
        check: bool = False,
        comment: str = "",
        reviewed: bool = True,
    ) -> tuple[Dispatch, dict[str, bytes]]:
        """The command, and the bytes of the files that it names. `kind` is what the verb `run` is asked for.

        Raises `Refused` for a freeze, for nodes beyond reach and for none; `Invalid` for what does not compile.
        """
        self._permissions.check(subject, "run", kind)
        if not check:
            self.require_thaw()
        catalog, world = self._shelf.catalog(), self._state.world
        steps = self._compiled(document, parameters, catalog)
        nodes = catalog.resolver(world.nodes)(targets)
        require_reach(nodes, self._permissions.reach(subject, "run", kind, world.nodes), targets, world)
        effect = Dispatch(
            document=document.name,
            nodes=nodes,
            body=body_of(document.name, steps, check=check),
            targets=" ".join(map(str, targets)),
            parameters=canonical({name: list(values) for name, values in parameters.items()}).decode(),
            max_concurrency=max_concurrency,
            max_errors=max_errors,
            delivery_timeout=delivery_timeout,
            check=check,
            comment=comment,
            reviewed=reviewed,
        )
        blobs = self._source.blobs({file.blob for file in steps.files.values()})
        return effect, {file.ref.digest: blobs[file.blob] for file in steps.files.values()}

    def again(self, subject: Subject, row: CommandRow, body: bytes, node_ids: Sequence[str], targets: str) -> Dispatch:
        """The same command for these nodes of it. Raises as `order`."""
        kind = OF_THE_REPOSITORY if row.reviewed else BROUGHT
        self._permissions.check(subject, "run", kind)
        if not row.check:
            self.require_thaw()
        world = self._state.world
        nodes = world.nodes.listed(list(node_ids))
        require_reach(nodes, self._permissions.reach(subject, "run", kind, world.nodes), (targets,), world)
        return Dispatch(
            document=row.document,
            nodes=nodes,
            body=body,
            targets=targets,
            parameters=row.parameters,
            max_concurrency=row.max_concurrency,
            max_errors=row.max_errors,
            delivery_timeout=row.delivery_timeout,
            check=row.check,
            comment=row.comment,
            reviewed=row.reviewed,
        )

    def _compiled(self, document: Document, given: Mapping[str, Sequence[str]], catalog: Catalog) -> Steps:
        files = Sources(self._source, self._source.tree(catalog.commit), Workings())
        return compile_document(
            document, given, files, _parameter_place, catalog.stored(self._source), at=self._clock.now_ms()
        )


def short_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Targets as the command line has them. Raises `Invalid`."""
    if not texts:
        raise Invalid((Finding("it has to be said where the document runs", Place("--targets"), ", ".join(KEYS)),))
    targets = tuple(parse_short(text) for text in texts)
    for target in targets:
        if not known_key(target.key):
            finding = Finding(f"there is no target `{target.key}`", Place("--targets"), ", ".join(KEYS))
            raise Invalid((finding,))
    return targets


def require_reach(nodes: NodeSet, reach: NodeSet, targets: Sequence[Target | str], world: World) -> None:
    """Raises `Refused` where the targets select no node, or one beyond reach."""
    if not nodes:
        raise Refused(f"no enrolled node is selected by {' '.join(map(str, targets))}", "targets")
    if nodes & ~reach:
        names = sorted(world.nodes.names(nodes & reach))
        yours = f"{nodeset.size(nodes & ~reach)} of {nodeset.size(nodes)} nodes are beyond your reach"
        raise Refused(yours, "access", f"name those within it: {', '.join(names[:5])}" if names else "")


def _parameter_place(loc: Loc) -> Place:
    return Place(f"-p {loc[0]}" if loc else "-p")
