"""A result fits its frame, and says what was left out."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as some

from agent.contract.canonical import canonical
from agent.contract.codec import to_wire
from agent.contract.wire import ClaimReport
from agent.rounds.outcome import OUTPUT_LIMIT, fitted


def claim(number: int, outcome: str = "Changed", diff: str | None = None) -> ClaimReport:
    return ClaimReport(f"path:/etc/{number}", f"step {number}", outcome, diff=diff)


def size(claims: list[ClaimReport], output: str | None) -> int:
    return len(canonical([to_wire(item) for item in claims])) + len(canonical(output))


def test_what_fits_is_left_alone() -> None:
    claims = [claim(1, diff="-a\n+b")]
    assert fitted(claims, "out") == (claims, "out", 0)
    assert fitted([], "") == ([], None, 0)


def test_diffs_go_first_from_the_end() -> None:
    claims = [claim(number, diff="x" * 1000) for number in range(4)]
    kept, _, left_out = fitted(claims, "", room=2500)
    assert [bool(item.diff) for item in kept] == [True, True, False, False]
    assert left_out == 2
    assert size(kept, None) <= 2510


def test_what_is_right_goes_before_what_is_wrong() -> None:
    claims = [claim(1, "Unchanged"), claim(2, "Failed"), claim(3, "Unchanged"), claim(4, "Drifted")]
    kept, _, left_out = fitted(claims, "", room=150)
    assert [item.outcome for item in kept] == ["Failed", "Drifted"]
    assert left_out == 2
    assert fitted(claims, "", room=90) == ([claims[1]], None, 3)


def test_long_output_keeps_its_beginning_and_its_end() -> None:
    _, output, _ = fitted([], "a" * 30_000 + "b" * 30_000)
    assert output is not None
    assert len(output) <= OUTPUT_LIMIT
    assert output.startswith("aaa")
    assert output.endswith("bbb")
    assert "characters left out" in output


@given(
    some.lists(
        some.builds(
            ClaimReport,
            claim=some.text(min_size=1, max_size=40).filter(str.isprintable),
            step=some.just("it"),
            outcome=some.sampled_from(["Unchanged", "Changed", "Failed"]),
            diff=some.none() | some.text(some.characters(exclude_categories=["Cs"]), max_size=300),
        ),
        max_size=30,
    ),
    some.text(some.characters(exclude_categories=["Cs"]), max_size=200),
)
def test_the_bound_holds_and_nothing_goes_uncounted(claims: list[ClaimReport], output: str) -> None:
    room = 3000
    kept, told, left_out = fitted(claims, output, room)
    assert size(kept, told) <= room + 10
    bare = [dataclasses.replace(item, diff=None) for item in claims]
    assert all(dataclasses.replace(item, diff=None) in bare for item in kept)
    dropped = len(claims) - len(kept)
    assert left_out >= dropped
    assert (left_out == 0) == (kept == claims)
