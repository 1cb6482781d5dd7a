"""Permits in the world: which nodes are at a run of an association now, and what came of the newest of its schedule."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from reconciler.core import nodeset
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.records import FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.core.records import PermitRow


class Run(NamedTuple):
    """A run of an association on one node: of a generation, at an instant of its schedule, or its first (empty)."""

    generation: int
    instant: str


class Begun(NamedTuple):
    """A permit that is out. `expires_at` is Unix milliseconds: from then on nobody waits for it."""

    run: Run
    granted_at: int
    expires_at: int


class Word(NamedTuple):
    """What a node said of a run."""

    run: Run
    failed: bool


@dataclass(frozen=True, slots=True)
class Permits:
    """The permits of one association.

    `out` are those not returned, by bit. `instant` is the newest run of the schedule that anybody was at, `done` the
    nodes that returned a permit for it, `failed` those of them that could not do it.
    """

    out: Mapping[int, Begun] = field(default_factory=dict)
    instant: str = ""
    done: NodeSet = EMPTY
    failed: NodeSet = EMPTY

    def under_way(self, at: int) -> int:
        """How many nodes may be at a run at `at` (Unix milliseconds)."""
        return sum(begun.expires_at > at for begun in self.out.values())

    def expiry(self) -> int | None:
        """When the next permit runs out."""
        return min((begun.expires_at for begun in self.out.values()), default=None)

    def granted(self, permits: Mapping[int, Begun]) -> Permits:
        """After these were given out, each in place of any other that its node had."""
        newest = max((begun.run.instant for begun in permits.values()), default="")
        after = self if newest <= self.instant else replace(self, instant=newest, done=EMPTY, failed=EMPTY)
        return replace(after, out={**self.out, **permits})

    def returned(self, words: Mapping[int, Word]) -> Permits:
        """After nodes said what came of their runs. Costs what is out, however many say so."""
        out = {bit: begun for bit, begun in self.out.items() if bit not in words or words[bit].run != begun.run}
        newest = {bit: word for bit, word in words.items() if word.run.instant and word.run.instant == self.instant}
        done = nodeset.of(newest)
        failed = nodeset.of(bit for bit, word in newest.items() if word.failed)
        return replace(self, out=out, done=self.done | done, failed=self.failed | failed)

    def without(self, nodes: NodeSet) -> Permits:
        """After these nodes lost the association."""
        out = {bit: begun for bit, begun in self.out.items() if not nodes >> bit & 1}
        return replace(
            self, out=out, done=nodeset.without(self.done, nodes), failed=nodeset.without(self.failed, nodes)
        )


NO_PERMITS = Permits()


def load(rows: Iterable[PermitRow], bits: Mapping[str, int]) -> dict[str, Permits]:
    """By association, from the newest permit of every node."""
    by_uid: dict[str, list[PermitRow]] = {}
    for row in rows:
        if row.node_id in bits:
            by_uid.setdefault(row.uid, []).append(row)
    found = {}
    for uid, some in by_uid.items():
        instant = max(row.run_instant for row in some)
        done = [row for row in some if row.status and instant and row.run_instant == instant]
        out = {
            bits[row.node_id]: Begun(Run(row.generation, row.run_instant), row.granted_at, row.expires_at)
            for row in some
            if not row.status
        }
        found[uid] = Permits(
            out,
            instant,
            nodeset.of(bits[row.node_id] for row in done),
            nodeset.of(bits[row.node_id] for row in done if row.status in FAILURES),
        )
    return found
