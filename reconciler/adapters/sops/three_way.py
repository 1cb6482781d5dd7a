"""Three texts made one, line by line, in memory: what holds secrets is not written to files for a program to merge."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class _Common(NamedTuple):
    """Lines that stand in all three texts: where, and how many."""

    base: int
    ours: int
    theirs: int
    size: int


def merged_lines(base: str, ours: str, theirs: str) -> str | None:
    """The text with both sides' changes; None where both changed the same lines.

    Of what both sides add in one place, ours comes first.
    """
    texts = [text.splitlines(keepends=True) for text in (_ended(base), _ended(ours), _ended(theirs))]
    parts: list[str] = []
    at = _Common(0, 0, 0, 0)
    for common in _common(*texts):
        chunk = _chosen(
            texts[0][at.base : common.base], texts[1][at.ours : common.ours], texts[2][at.theirs : common.theirs]
        )
        if chunk is None:
            return None
        parts += chunk
        parts += texts[0][common.base : common.base + common.size]
        at = _Common(common.base + common.size, common.ours + common.size, common.theirs + common.size, 0)
    return "".join(parts)


def _chosen(base: list[str], ours: list[str], theirs: list[str]) -> list[str] | None:
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    return None if base else _both(ours, theirs)


def _both(ours: list[str], theirs: list[str]) -> list[str]:
    """What both sides added, and once what they have in common."""
    lines: list[str] = []
    for sort, start, end, begin, stop in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        lines += ours[start:end] if sort == "equal" else [*ours[start:end], *theirs[begin:stop]]
    return lines


def _common(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Iterator[_Common]:
    """Runs of lines that neither side touched, in order, and the end of all three."""
    mine = SequenceMatcher(None, base, ours, autojunk=False).get_matching_blocks()
    other = SequenceMatcher(None, base, theirs, autojunk=False).get_matching_blocks()
    left = right = 0
    while left < len(mine) and right < len(other):
        one, two = mine[left], other[right]
        start, end = max(one.a, two.a), min(one.a + one.size, two.a + two.size)
        if start < end:
            yield _Common(start, one.b + start - one.a, two.b + start - two.a, end - start)
        if one.a + one.size < two.a + two.size:
            left += 1
        else:
            right += 1
    yield _Common(len(base), len(ours), len(theirs), 0)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
