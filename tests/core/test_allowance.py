from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.allowance import Allowance, Allowances


def test_a_burst_then_the_rate() -> None:
    allowance = Allowance(rate=2.0, burst=3.0, now=100.0)
    assert [allowance.take(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert allowance.take(100.5) == 0.0
    assert allowance.take(100.5) == 0.5


def test_spending_goes_into_debt_and_says_for_how_long() -> None:
    allowance = Allowance(rate=10.0, burst=1.0, now=0.0)
    assert allowance.spend(0.0) == 0.0
    assert allowance.spend(0.0, 5) == 0.5
    assert allowance.spend(0.5) == 0.1


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    allowance = Allowance(rate=1.0, burst=1.0, now=10.0)
    assert allowance.take(10.0) == 0.0
    assert allowance.take(5.0) == 1.0
    assert allowance.take(10.5) == 0.5


@given(st.lists(st.floats(0, 10), max_size=50), st.floats(0.1, 5), st.integers(1, 10))
def test_never_more_than_burst_and_rate_allow(gaps: list[float], rate: float, burst: int) -> None:
    allowance, now, taken = Allowance(rate, burst, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        taken += allowance.take(now) == 0.0
    assert taken <= burst + rate * now + 1e-6


def test_keys_do_not_share_and_the_one_unused_longest_is_forgotten() -> None:
    allowances = Allowances(rate=1.0, burst=1.0, keys=2)
    assert [allowances.take(key, 0.0) for key in "aabb"] == [0.0, 1.0, 0.0, 1.0]
    assert allowances.take("c", 0.0) == 0.0
    assert allowances.take("b", 0.0) == 1.0
    assert allowances.take("a", 0.0) == 0.0
