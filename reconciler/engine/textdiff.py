"""Text diffs: what a person reads of a file whose content changes, bounded."""

from __future__ import annotations

import difflib
from collections import Counter

Content = str | bytes | None
"""What a file holds: text, or bytes that are none; None where there is no file."""

DIFF_LINES = 200
DIFF_WIDTH = 1000
"""Characters shown of a line."""
LINES_SEARCHED = 50_000
PAIRS_SEARCHED = 200_000
"""Pairs of equal lines in two stretches: the more, the longer difflib searches, and both may be anybody's."""
_CONTEXT = 3
"""Lines shown around a change."""
_NO_END = "\n\\ No newline at end of file\n"


def unified(name: str, old: Content, new: Content) -> str:
    """A unified diff of two contents, bounded; sizes where one is not text; empty where there is none to show."""
    if old == new:
        return ""
    if isinstance(old, bytes) or isinstance(new, bytes):
        sizes = [len(content.encode() if isinstance(content, str) else content or b"") for content in (old, new)]
        return f"binary content: {sizes[0]} -> {sizes[1]} bytes\n"
    names = (name if old is not None else "/dev/null", name if new is not None else "/dev/null")
    lines = _unified(names[0], _lines(old or ""), names[1], _lines(new or ""))
    if len(lines) > DIFF_LINES:
        lines[DIFF_LINES:] = [f"... {len(lines) - DIFF_LINES} more lines\n"]
    return "".join([line if len(line) <= DIFF_WIDTH + 1 else _cut(line) for line in lines])


def _unified(old_name: str, old: list[str], new_name: str, new: list[str]) -> list[str]:
    """As difflib writes it; without its search for the best match where one stretch of lines changed, or too much."""
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    gone, come = old[head : len(old) - tail], new[head : len(new) - tail]
    if not set(gone).isdisjoint(come) and _can_be_searched(gone, come):
        return list(difflib.unified_diff(old, new, old_name, new_name))
    start, rest = max(0, head - _CONTEXT), len(old) - tail
    before, after = old[start:head], old[rest : rest + _CONTEXT]
    around = len(before) + len(after)
    return [
        f"--- {old_name}\n",
        f"+++ {new_name}\n",
        f"@@ -{_span(start, around + len(gone))} +{_span(start, around + len(come))} @@\n",
        *[" " + line for line in before],
        *["-" + line for line in gone],
        *["+" + line for line in come],
        *[" " + line for line in after],
    ]


def _can_be_searched(gone: list[str], come: list[str]) -> bool:
    """Whether two stretches have few enough lines, and few enough pairs of equal ones."""
    if len(gone) + len(come) > LINES_SEARCHED:
        return False
    times = Counter(come)
    return sum(times.get(line, 0) for line in gone) <= PAIRS_SEARCHED


def _cut(line: str) -> str:
    return f"{line[:DIFF_WIDTH]} ... {len(line) - DIFF_WIDTH - 1} more characters\n"


def _alike(one: list[str], other: list[str]) -> int:
    """How many lines two texts begin with alike."""
    at = 0
    for line, same in zip(one, other, strict=False):
        if line != same:
            break
        at += 1
    return at


def _span(start: int, length: int) -> str:
    """A stretch of lines as hunks name it."""
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _lines(text: str) -> list[str]:
    """Lines with their ends, which only a line feed is; what a last line without one is shown with."""
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()
    return lines if last == "\n" else [*lines, last[:-1] + _NO_END]
