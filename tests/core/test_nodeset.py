"""NodeSets against Python's own sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import nodeset

POSITIONS = st.sets(st.integers(0, 700)) | st.sets(st.integers(0, 40_000), max_size=80)


@given(POSITIONS)
def test_positions_come_back_in_order(wanted: set[int]) -> None:
    nodes = nodeset.of(wanted)
    assert nodeset.positions(nodes) == sorted(wanted)
    assert nodeset.size(nodes) == len(wanted)
    assert nodes == sum(1 << position for position in wanted)


@given(POSITIONS, st.integers(-1, 800))
def test_the_first_are_the_lowest(wanted: set[int], count: int) -> None:
    assert nodeset.positions(nodeset.first(nodeset.of(wanted), count)) == sorted(wanted)[: max(count, 0)]


@given(POSITIONS, POSITIONS)
def test_without_is_the_difference(some: set[int], others: set[int]) -> None:
    assert nodeset.without(nodeset.of(some), nodeset.of(others)) == nodeset.of(some - others)


def test_below_is_everything_up_to_there() -> None:
    assert nodeset.positions(nodeset.below(70)) == list(range(70))
    assert nodeset.below(0) == nodeset.EMPTY
