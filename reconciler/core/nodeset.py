"""Sets of nodes as one integer each: bit n is the node at position n of `world.Nodes`.

Union, intersection and difference are `|`, `&` and `& ~`; these functions are the rest. Positions are private to one
process: they are never written, sent or hashed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NodeSet: TypeAlias = int

EMPTY: NodeSet = 0

_OCCUPIED = re.compile(rb"[^\x00]+")
_BITS = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


def of(positions: Iterable[int]) -> NodeSet:
    """The set of these positions. Linear in their number and in the largest, never in their product."""
    held = bytearray()
    for position in positions:
        at = position >> 3
        if at >= len(held):
            held.extend(bytes(max(at + 1 - len(held), len(held))))
        held[at] |= 1 << (position & 7)
    return int.from_bytes(held, "little")


def below(count: int) -> NodeSet:
    """Positions 0 to count-1."""
    return (1 << count) - 1


def size(nodes: NodeSet) -> int:
    return nodes.bit_count()


def positions(nodes: NodeSet) -> Iterator[int]:
    """Positions in ascending order; empty stretches cost next to nothing."""
    data = nodes.to_bytes((nodes.bit_length() + 7) >> 3, "little")
    for stretch in _OCCUPIED.finditer(data):
        start = stretch.start() << 3
        for byte in stretch.group():
            for bit in _BITS[byte]:
                yield start + bit
            start += 8


def first(nodes: NodeSet, count: int) -> NodeSet:
    """The `count` lowest positions of the set."""
    if count <= 0:
        return EMPTY
    if nodes.bit_count() <= count:
        return nodes
    low, high = 0, nodes.bit_length()
    while low < high:
        middle = (low + high) >> 1
        if (nodes & below(middle)).bit_count() < count:
            low = middle + 1
        else:
            high = middle
    return nodes & below(low)
