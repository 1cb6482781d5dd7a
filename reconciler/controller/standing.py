"""How the fleet stands, counted from World's columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reconciler.capabilities.nodes import compliance
from reconciler.capabilities.nodes.compliance import SEVERITIES, Standing, Totals
from reconciler.core import nodeset
from reconciler.core.nodeset import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.nodeset import NodeSet
    from reconciler.core.records import StateRow
    from reconciler.core.world import World
    from reconciler.engine.catalog import Catalog


class Standings:
    """Nodes by how they are, over everything that they have: one pass over the columns answers for all of them.

    `bad` are not compliant with something, `failing` could not do something, `drifted` differ and may not be repaired,
    `compliant` have reported on all that they have, and well.
    """

    __slots__ = ("bad", "compliant", "drifted", "failing")

    def __init__(self, world: World) -> None:
        self.bad = self.failing = self.drifted = EMPTY
        having = untold = EMPTY
        for columns in world.columns.values():
            anywhere = columns.anywhere
            having |= anywhere
            untold |= anywhere & ~columns.reported
            self.bad |= columns.reported & ~columns.converged
            self.failing |= columns.failed
            self.drifted |= columns.drifted
        self.compliant: NodeSet = having & ~untold & ~self.bad

    def word(self, node: NodeSet) -> str:
        """What one node's compliance is."""
        return "NON_COMPLIANT" if self.bad & node else "COMPLIANT" if self.compliant & node else "UNKNOWN"


def severities(catalog: Catalog | None) -> dict[str, str]:
    """By association: how bad it is when a node is not as it says."""
    compiled = catalog.compiled if catalog is not None else {}
    return {uid: catalog.resources[uid].spec.compliance_severity for uid in compiled} if catalog is not None else {}


def totals_of(
    world: World,
    severity_of: Mapping[str, str],
    changed: tuple[tuple[str, StateRow], ...] = (),
    unenrolled: int = 0,
) -> Totals:
    """The fleet in numbers. Linear in associations, and in what is not compliant."""
    per_node: Counter[int] = Counter()
    highest: dict[int, int] = {}
    standings = []
    for uid, columns in sorted(world.columns.items()):
        severity = severity_of.get(uid, "UNSPECIFIED")
        wrong = columns.reported & ~columns.converged
        untold = columns.anywhere & ~columns.reported
        standings.append(
            Standing(uid, severity, *(nodeset.size(nodes) for nodes in (columns.converged, wrong, untold)))
        )
        rank = SEVERITIES.index(severity)
        for bit in nodeset.positions(wrong):
            per_node[bit] += 1
            highest[bit] = min(highest.get(bit, rank), rank)
    found = Standings(world)
    compliant, bad = nodeset.size(found.compliant), nodeset.size(found.bad)
    total = nodeset.size(world.nodes.everyone) + unenrolled
    ranked = sorted(per_node, key=lambda bit: (highest[bit], -per_node[bit], bit))[: compliance.WORST_SHOWN]
    worst = tuple((world.nodes.names(1 << bit)[0], per_node[bit], SEVERITIES[highest[bit]]) for bit in ranked)
    return Totals(total, compliant, bad, total - compliant - bad, tuple(standings), worst, changed)
