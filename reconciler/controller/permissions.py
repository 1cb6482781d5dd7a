"""Who may do what: verb x kind x nodes, by the access files in force; nothing that no grant allows.

A method names its verb and kind; where it touches or shows nodes, only those within the subject's reach. What was
refused is written down as well as what was done.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler.core import access, indexing
from reconciler.core.nodes import NodeEntry, Nodes
from reconciler.core.nodeset import EMPTY
from reconciler.core.problem import Problem, Refused
from reconciler.core.records import AuditRow, Changes
from reconciler.engine import contexts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from reconciler.controller.state import State
    from reconciler.core.access import Subject
    from reconciler.core.nodeset import NodeSet
    from reconciler.core.ports import Clock, Store
    from reconciler.engine.catalog import Catalog

log = logging.getLogger(__name__)
DETAIL_LIMIT = 2000


class Permissions:
    """May be asked from any thread."""

    def __init__(self, state: State, store: Store, clock: Clock) -> None:
        self._state, self._store, self._clock = state, store, clock
        self._declared: tuple[Catalog, Nodes] | None = None

    def check(self, subject: Subject, verb: str, kind: str) -> None:
        """Raises `Refused` unless the subject may do this to anything at all."""
        if not access.may(subject, verb, kind, self._grants(subject)):
            raise self._refused(subject, verb, kind)

    def reach(self, subject: Subject, verb: str, kind: str, nodes: Nodes) -> NodeSet:
        """The nodes on which the subject may do this. Raises `Refused` where it may not do it at all."""
        self.check(subject, verb, kind)
        return self._within(subject, verb, kind, nodes)

    def within(self, subject: Subject, verb: str, kind: str, nodes: Nodes) -> NodeSet:
        """As `reach`, for what was allowed before and goes on: none where it no longer is, and nothing is written."""
        return self._within(subject, verb, kind, nodes)

    def declared(self, subject: Subject, verb: str, kind: str) -> tuple[Nodes, NodeSet]:
        """The nodes that Git declares, enrolled or not, and those of them on which the subject may do this."""
        catalog = self._state.catalog
        if catalog is None:
            return Nodes(), EMPTY
        if self._declared is None or self._declared[0] is not catalog:
            self._declared = (catalog, contexts.declared(catalog))
        nodes = self._declared[1]
        return nodes, self._within(subject, verb, kind, nodes)

    def require_new_node(self, subject: Subject, name: str, labels: Mapping[str, str]) -> None:
        """Raises `Refused` unless the subject may enroll a node of this name with these labels.

        Labels select associations, and so does a name: who may enroll some nodes only may not give away others'.
        """
        self.check(subject, "enroll", "Node")
        if subject.everything:
            return
        nodes = indexing.index([NodeEntry("", name, dict(labels), dict(labels))])
        if self._state.catalog is not None:
            nodes = contexts.joined(self._state.catalog, nodes)
        if not self._within(subject, "enroll", "Node", nodes):
            labelled = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
            what = f"{name or 'a node of any name'} with {labelled or 'no label'}"
            raise self._refused(subject, "enroll", what)

    def parameters(self, subject: Subject, verb: str) -> Callable[[str], bool]:
        """Whether the subject may do this to a parameter, by its name."""
        if subject.everything:
            return lambda _name: True
        grants = [grant for grant in self._grants(subject) if grant.covers(verb, "Parameter")]
        return lambda name: any(grant.reads(name) for grant in grants)

    def check_parameters(self, subject: Subject, verb: str, names: Iterable[str]) -> None:
        """Raises `Refused` unless the subject may do this to all of these parameters."""
        granted = self.parameters(subject, verb)
        for name in names:
            if not granted(name):
                raise self._refused(subject, verb, f"Parameter {name}")

    def note(self, subject: Subject, verb: str, what: Iterable[str]) -> None:
        """Write down what is about to be done. Raises `Unavailable` where it cannot be."""
        at = self._clock.now_ms()
        rows = tuple(AuditRow(at, subject.name, verb, each, "done", "", "") for each in what)
        self._store.commit(Changes(at=at, audit=rows))

    @contextmanager
    def recorded(self, subject: Subject, verb: str, what: str) -> Iterator[None]:
        """Write down that what follows was asked for and why it did not happen, where it does not."""
        try:
            yield
        except Problem as problem:
            self._write(subject, verb, what, problem)
            raise

    def _refused(self, subject: Subject, verb: str, what: str) -> Refused:
        problem = Refused(f"{subject.name} may not {verb} {what}", "access", "ask for a Role that grants it")
        self._write(subject, verb, what, problem)
        return problem

    def _write(self, subject: Subject, verb: str, what: str, why: Problem) -> None:
        """The refusal stands, whether it can be written down or not."""
        outcome = "refused" if isinstance(why, Refused) else "failed"
        row = AuditRow(self._clock.now_ms(), subject.name, verb, what, outcome, "", str(why)[:DETAIL_LIMIT])
        try:
            self._store.commit(Changes(at=row.at, audit=(row,)))
        except Problem as problem:
            log.warning("not written down: %s %s %s: %s (%s)", subject.name, verb, what, why, problem)

    def _grants(self, subject: Subject) -> list[access.Grant]:
        catalog = self._state.catalog
        if catalog is None:
            return []
        return catalog.grants_of_role(subject.role) if subject.role else catalog.grants_of(subject.name)

    def _within(self, subject: Subject, verb: str, kind: str, nodes: Nodes) -> NodeSet:
        if subject.everything:
            return nodes.everyone
        catalog = self._state.catalog
        if catalog is None:
            return EMPTY
        return access.reach(subject, verb, kind, self._grants(subject), nodes.everyone, catalog.resolver(nodes))
