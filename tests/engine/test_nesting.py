"""Circles and depths, against a slow way of finding them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine.nesting import nesting

NAMES = "abcdef"
GRAPHS = st.fixed_dictionaries(
    {name: st.lists(st.sampled_from(NAMES + "?"), unique=True, max_size=3) for name in NAMES}
)


def reached(parts: dict[str, list[str]], start: str) -> set[str]:
    """Everything that `start` is made of, however far down."""
    found: set[str] = set()
    ahead = [*parts[start]]
    while ahead:
        name = ahead.pop()
        if name in parts and name not in found:
            found.add(name)
            ahead += parts[name]
    return found


@given(GRAPHS)
def test_circles_and_depths(parts: dict[str, list[str]]) -> None:
    below = {name: reached(parts, name) for name in parts}
    round_about = {name for name in parts if name in below[name]}
    found = nesting(parts)
    assert round_about <= set(found.circles)
    assert set(found.depths) == {name for name in parts if not (below[name] | {name}) & round_about}
    for name, circle in found.circles.items():
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all(part in parts[holder] for holder, part in pairwise(circle))
        assert circle[0] in below[name]
    for name, depth in found.depths.items():
        assert depth == 1 + max((found.depths[part] for part in parts[name] if part in parts), default=0)


def test_a_long_chain_and_a_long_circle() -> None:
    count = 100_000
    chain = {str(n): [str(n + 1)] for n in range(count)}
    assert nesting(chain).depths["0"] == count
    circle = nesting({**chain, str(count): ["0"]}).circles
    assert len(circle) == count + 1
    assert circle["7"] is circle["8"]
