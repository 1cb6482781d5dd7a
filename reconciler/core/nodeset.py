"""Sets of nodes as one integer each: bit n is the node at position n of `nodes.Nodes`.

Union, intersection and difference are `|`, `&` and `& ~` (or `without`, where it is done by the thousand); these
functions are the rest. Positions are private to one process: they are never written, sent or hashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from bitarray import bitarray
from bitarray.util import count_n, zeros

if TYPE_CHECKING:
    from collections.abc import Iterable

NodeSet: TypeAlias = int

EMPTY: NodeSet = 0

_FEW = 32


def of(positions: Iterable[int]) -> NodeSet:
    """The set of these positions. Linear in their number and in the largest, never in their product."""
    listed = positions if isinstance(positions, list) else list(positions)
    if not listed:
        return EMPTY
    held = zeros(max(listed) + 1, "little")
    held[listed] = 1
    return int.from_bytes(held.tobytes(), "little")


def below(count: int) -> NodeSet:
    """Positions 0 to count-1."""
    return (1 << count) - 1


def without(nodes: NodeSet, others: NodeSet) -> NodeSet:
    """`nodes & ~others`, without the negative number that makes it slow."""
    return nodes ^ (nodes & others)


def size(nodes: NodeSet) -> int:
    return nodes.bit_count()


def lowest(nodes: NodeSet) -> int:
    """The lowest position of a set that has any."""
    return (nodes ^ (nodes - 1)).bit_length() - 1


def positions(nodes: NodeSet) -> list[int]:
    """Positions in ascending order. A few are taken one by one, each at the cost of one operation on sets."""
    highest: list[int] = []
    while nodes and len(highest) < _FEW:
        top = nodes.bit_length() - 1
        highest.append(top)
        nodes ^= 1 << top
    highest.reverse()
    return [*_bits(nodes).search(1), *highest] if nodes else highest


def _bits(nodes: NodeSet) -> bitarray:
    held = bitarray(endian="little")
    held.frombytes(nodes.to_bytes((nodes.bit_length() + 7) >> 3, "little"))
    return held


def first(nodes: NodeSet, count: int) -> NodeSet:
    """The `count` lowest positions of the set."""
    if count <= 0:
        return EMPTY
    held = _bits(nodes)
    return nodes if held.count() <= count else nodes & below(count_n(held, count))
