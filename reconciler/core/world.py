"""World: what is, in columns. A cache of the store: built at start, changed by the leader only, read as a snapshot.

`core.nodes` gives every node a bit; `Columns` holds, for one association, which nodes were given which generation and
what they said of it. All values are frozen; a change makes a new snapshot that shares everything it did not touch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.core import nodeset
from reconciler.core.nodes import Nodes
from reconciler.core.nodeset import EMPTY, NodeSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.permits import Permits


@dataclass(frozen=True, slots=True)
class Columns:
    """One association in the world.

    `given` maps each body digest that any node is still on to its nodes; `held` are those that acknowledged what they
    were given, `reported` those that reported on it, and of these `converged`, `failed` and `drifted`.
    """

    given: Mapping[str, NodeSet] = field(default_factory=dict)
    held: NodeSet = EMPTY
    reported: NodeSet = EMPTY
    converged: NodeSet = EMPTY
    failed: NodeSet = EMPTY
    drifted: NodeSet = EMPTY

    @property
    def anywhere(self) -> NodeSet:
        """Nodes that were given any generation."""
        found = EMPTY
        for nodes in self.given.values():
            found |= nodes
        return found

    def on(self, body_digest: str) -> NodeSet:
        return self.given.get(body_digest, EMPTY)

    def assigned(self, nodes: NodeSet, body_digest: str) -> Columns:
        """After `nodes` were given this body: whatever they said of another one no longer counts."""
        given = {held: left for held, was in self.given.items() if (left := nodeset.without(was, nodes))}
        given[body_digest] = given.get(body_digest, EMPTY) | nodes
        return self._forgetting(nodes, given)

    def withdrawn(self, nodes: NodeSet) -> Columns:
        left = {digest: nodeset.without(was, nodes) for digest, was in self.given.items()}
        return self._forgetting(nodes, {digest: kept for digest, kept in left.items() if kept})

    def _forgetting(self, nodes: NodeSet, given: Mapping[str, NodeSet]) -> Columns:
        parts = (self.held, self.reported, self.converged, self.failed, self.drifted)
        return Columns(given, *(nodeset.without(part, nodes) for part in parts))

    def said(self, node: NodeSet, *, converged: bool, failed: bool, drifted: bool) -> Columns:
        """After one node reported on what it was given."""
        without = nodeset.without
        return Columns(
            self.given,
            self.held | node,
            self.reported | node,
            self.converged | node if converged else without(self.converged, node),
            self.failed | node if failed else without(self.failed, node),
            self.drifted | node if drifted else without(self.drifted, node),
        )


@dataclass(frozen=True, slots=True)
class Release:
    """The newest released body of one association. `held_for` is why it goes no further, empty while it does.

    `tolerated` is how many nodes had failed when a person let it go on: they no longer count as errors.
    """

    generation: int
    body_digest: str
    commit: str
    held_for: str = ""
    tolerated: int = 0


NOTHING = Columns()


@dataclass(frozen=True, slots=True)
class World:
    """A snapshot. `sequence` grows with every change; `revision` is the commit in force, None before the first.

    `generations_from` is the lowest generation that may still be released: a store restored from a backup does not know
    which ones were used after it was taken.
    """

    fleet_id: str
    incarnation: int
    sequence: int = 0
    revision: str | None = None
    access_revision: str | None = None
    generations_from: int = 1
    nodes: Nodes = field(default_factory=Nodes)
    online: NodeSet = EMPTY
    unsettled: NodeSet = EMPTY
    """Nodes that were given a new context and have not reported with it."""
    columns: Mapping[str, Columns] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    permits: Mapping[str, Permits] = field(default_factory=dict)

    def of(self, uid: str) -> Columns:
        return self.columns.get(uid, NOTHING)

    @property
    def holding(self) -> NodeSet:
        """Nodes that were given anything."""
        found = EMPTY
        for columns in self.columns.values():
            found |= columns.anywhere
        return found

    def with_columns(self, changed: Mapping[str, Columns]) -> World:
        return replace(self, sequence=self.sequence + 1, columns={**self.columns, **changed})
