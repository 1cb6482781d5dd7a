"""World's columns from the assignment table: the path that a start of the reconciler waits for.

Each association comes as one row whose second field lists its pairs, one integer each: what the pair is (generation,
status, ...) above the node's number. Two million pairs cost one pass in the database and one here, and no sort.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, Integer, Text, cast, func, literal, select, type_coerce

from reconciler.adapters.store import queries, schema
from reconciler.core import nodeset
from reconciler.core.nodeset import EMPTY, NodeSet
from reconciler.core.records import COMPLIANCES, AssignmentRow
from reconciler.core.world import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import ColumnElement, Connection, Select

NUMBER_BITS = 24
"""Of the node's number: 16 million nodes enrolled over a fleet's life. The generation has what is left of 63 bits."""
STATUSES, COMPLIANCE_WORDS = 8, 4
"""How many words of each there is room for."""


def _packed() -> ColumnElement[int]:
    table = schema.assignments
    held, drifted = (cast(flag, Integer) for flag in (table.c.held, table.c.drifted))
    status, compliance = (type_coerce(word, BigInteger) for word in (table.c.status, table.c.compliance))
    kind: ColumnElement[int] = type_coerce(table.c.generation, BigInteger)
    for part, size in ((status, STATUSES), (compliance, COMPLIANCE_WORDS), (held, 2), (drifted, 2)):
        kind = kind * literal(size, BigInteger) + part
    return kind * literal(1 << NUMBER_BITS, BigInteger) + table.c.node_number


def pairs_of(fleet_id: str) -> Select[str, str]:
    table = schema.assignments
    pairs = func.aggregate_strings(cast(_packed(), Text), ",")
    return select(table.c.uid, pairs).where(table.c.fleet_id == fleet_id).group_by(table.c.uid)


def _unpacked(kind: int) -> AssignmentRow:
    """A row that says what the pairs of this kind say; it names neither node nor association."""
    kind, drifted = divmod(kind, 2)
    kind, held = divmod(kind, 2)
    kind, compliance = divmod(kind, COMPLIANCE_WORDS)
    generation, status = divmod(kind, STATUSES)
    words = (schema.STATUS_WORDS[status], COMPLIANCES[compliance])
    return AssignmentRow("", "", generation, "", 0, bool(held), *words, bool(drifted))


@dataclass(slots=True)
class _Growing:
    """Columns of one association, kind by kind."""

    given: dict[str, NodeSet] = field(default_factory=dict)
    held: NodeSet = EMPTY
    reported: NodeSet = EMPTY
    converged: NodeSet = EMPTY
    failed: NodeSet = EMPTY
    drifted: NodeSet = EMPTY

    def add(self, body_digest: str, row: AssignmentRow, nodes: NodeSet) -> None:
        self.given[body_digest] = self.given.get(body_digest, EMPTY) | nodes
        for name in ("held", "reported", "converged", "failed", "drifted"):
            if getattr(row, name):
                setattr(self, name, getattr(self, name) | nodes)

    def columns(self) -> Columns:
        return Columns(self.given, self.held, self.reported, self.converged, self.failed, self.drifted)


def load(connection: Connection, fleet_id: str, position: Mapping[str, int]) -> dict[str, Columns]:
    """Every association's columns. Nodes without a position are left out, and associations on none but these."""
    runs = _runs(connection, fleet_id, position)
    digests = _digests(connection, fleet_id)
    found = {}
    for uid, pairs in connection.execute(pairs_of(fleet_id)):
        growing = _Growing()
        for row, nodes in _kinds(pairs, runs):
            growing.add(digests[uid, row.generation], row, nodes)
        if growing.given:
            found[uid] = growing.columns()
    return found


def _kinds(pairs: str, runs: list[_Run]) -> Iterator[tuple[AssignmentRow, NodeSet]]:
    """The nodes of each kind. Sorted, the pairs of one kind and one run are neighbours and are taken together."""
    values = sorted(map(int, pairs.split(",")))
    bits: defaultdict[int, list[int]] = defaultdict(list)
    start = 0
    while start < len(values):
        kind, number = divmod(values[start], 1 << NUMBER_BITS)
        run = runs[bisect_right(runs, number, key=_first) - 1]
        base = kind << NUMBER_BITS
        end = bisect_left(values, base + run.end, start)
        if run.bit is not None:
            zero = base + run.first - run.bit
            bits[kind] += [value - zero for value in values[start:end]]
        start = end
    return ((_unpacked(kind), nodeset.of(some)) for kind, some in bits.items())


class _Run(NamedTuple):
    """Nodes numbered from `first` to before `end`, at as many bits from `bit` on; None where World lacks them."""

    first: int
    end: int
    bit: int | None


_first = attrgetter("first")


def _runs(connection: Connection, fleet_id: str, position: Mapping[str, int]) -> list[_Run]:
    """All numbers in runs: few, since World numbers its bits in the order in which the store gives it nodes."""
    runs: list[_Run] = []
    for number, node_id in connection.execute(queries.NUMBERS, {"of_fleet": fleet_id}).all():
        bit = position.get(node_id)
        last = runs[-1] if runs else None
        if (
            last is not None
            and last.end == number
            and bit == (None if last.bit is None else last.bit + number - last.first)
        ):
            runs[-1] = _Run(last.first, number + 1, last.bit)
        else:
            runs.append(_Run(number, number + 1, bit))
    return runs


def _digests(connection: Connection, fleet_id: str) -> dict[tuple[str, int], str]:
    rows = connection.execute(queries.DIGESTS, {"of_fleet": fleet_id})
    return {(uid, generation): body_digest for uid, generation, body_digest in rows}
