"""Pauses grow, and then stay."""

from __future__ import annotations

from reconciler.core.pauses import pause


def test_the_last_one_repeats() -> None:
    assert [pause((1, 5, 30), failures) for failures in range(5)] == [1, 5, 30, 30, 30]
