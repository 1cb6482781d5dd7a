"""Text diffs: as difflib writes them, and within bounds whatever the texts are."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine import textdiff
from reconciler.engine.textdiff import DIFF_LINES, DIFF_WIDTH, unified

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n"]), max_size=12)


def _applied(diff: str, old: list[str]) -> list[str]:
    """What a diff makes of the old lines; it has to show them as they are."""
    made, at = [], 0
    for row in diff.splitlines(keepends=True)[2:]:
        if row.startswith("@@"):
            start, _, length = row.split()[1][1:].partition(",")
            until = int(start) - (length != "0")
            made += old[at:until]
            at = until
        elif row[0] in " -":
            assert row[1:] == old[at]
            made += [row[1:]] if row[0] == " " else []
            at += 1
        else:
            made.append(row[1:])
    return made + old[at:]


@given(LINES, LINES)
def test_a_diff_leads_from_one_text_to_the_other(old: list[str], new: list[str]) -> None:
    diff = unified("f", "".join(old), "".join(new))
    assert _applied(diff, old) == new
    assert len(diff) <= len("".join(difflib.unified_diff(old, new, "f", "f"))) or not diff


def test_what_takes_too_long_to_compare_is_one_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = ["x\n", "a\n", "b\n", "a\n"], ["y\n", "a\n", "c\n", "a\n", "z\n"]
    searched = unified("f", "".join(old), "".join(new))
    assert " a\n" in searched
    for bound in ("LINES_SEARCHED", "PAIRS_SEARCHED"):
        with monkeypatch.context() as patch:
            patch.setattr(textdiff, bound, 3)
            stretch = unified("f", "".join(old), "".join(new))
        assert " a\n" not in stretch
        assert _applied(stretch, old) == new


def test_many_lines_and_long_ones_are_counted() -> None:
    many = unified("f", "", "".join(f"{number}\n" for number in range(1000)))
    assert many.endswith(f"... {1000 + 3 - DIFF_LINES} more lines\n")
    assert unified("f", "", "x" * 5000 + "\n").endswith(f"+{'x' * (DIFF_WIDTH - 1)} ... 4001 more characters\n")
