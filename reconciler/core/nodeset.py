"""Sets of nodes as one integer each: bit n is the node at position n of `world.Nodes`.

Union, intersection and difference are `|`, `&` and `& ~` (or `without`, where it is done by the thousand); these
functions are the rest. Positions are private to one process: they are never written, sent or hashed.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

NodeSet: TypeAlias = int

EMPTY: NodeSet = 0

_FEW = 32
_BITS = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


def of(positions: Iterable[int]) -> NodeSet:
    """The set of these positions. Linear in their number and in the largest, never in their product."""
    listed = positions if isinstance(positions, list) else list(positions)
    if not listed:
        return EMPTY
    held = bytearray((max(listed) >> 3) + 1)
    for position in listed:
        held[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(held, "little")


def below(count: int) -> NodeSet:
    """Positions 0 to count-1."""
    return (1 << count) - 1


def without(nodes: NodeSet, others: NodeSet) -> NodeSet:
    """`nodes & ~others`, without the negative number that makes it slow."""
    return nodes ^ (nodes & others)


def size(nodes: NodeSet) -> int:
    return nodes.bit_count()


def positions(nodes: NodeSet) -> list[int]:
    """Positions in ascending order. A few are taken one by one, each at the cost of one operation on sets."""
    highest: list[int] = []
    while nodes and len(highest) < _FEW:
        top = nodes.bit_length() - 1
        highest.append(top)
        nodes ^= 1 << top
    highest.reverse()
    return _many(nodes) + highest if nodes else highest


def _many(nodes: NodeSet) -> list[int]:
    """Positions byte by byte, empty bytes skipped."""
    data = nodes.to_bytes((nodes.bit_length() + 7) >> 3, "little")
    starts = compress(range(0, len(data) << 3, 8), data)
    occupied = data.translate(None, b"\0")
    return [start + bit for start, byte in zip(starts, occupied, strict=True) for bit in _BITS[byte]]


def first(nodes: NodeSet, count: int) -> NodeSet:
    """The `count` lowest positions of the set."""
    if count <= 0:
        return EMPTY
    if nodes.bit_count() <= count:
        return nodes
    start, width, rest = 0, nodes.bit_length(), nodes
    while width > 1:
        half = width >> 1
        low = rest & below(half)
        held = low.bit_count()
        if held >= count:
            rest, width = low, half
        else:
            start, width, rest, count = start + half, width - half, rest >> half, count - held
    return nodes & below(start + 1)
