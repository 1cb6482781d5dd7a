"""Comments of YAML: what a parser passes over, and which mapping or list each of them stands in."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from reconciler.adapters.sops.sheet import Slot
from reconciler.adapters.sops.values import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COMMENT = re.compile(r"(?:^|(?<=[ \t\n]))#(?P<text>[^\n]*)")


_FAR = 1000
"""How many entries back a comment's home is looked for: files of others are read too."""


class Entry(NamedTuple):
    """A key or an item of a list: its offset and column, and the path of what it is in."""

    start: int
    column: int
    parent: tuple[str | int, ...]
    document: int
    item: bool = False


def comments(content: str, spans: Sequence[tuple[int, int]], entries: Sequence[Entry]) -> Iterator[Slot]:
    """Every comment, in order. `spans` are those of all scalars, in which a `#` is text."""
    starts = [entry.start for entry in entries]
    for offset in _offsets(content, spans):
        end = content.find("\n", offset)
        end = len(content) if end < 0 else end
        text = content[offset + 1 : end].rstrip("\r")
        if not text:
            continue
        following = bisect_right(starts, offset)
        homes = _homes(content, offset, entries, following)
        document = entries[min(following, len(entries) - 1)].document if entries else 0
        stop = offset + 1 + len(text)
        yield Slot(homes[0], offset, stop, Value("comment", text.encode()), document, comment=True, homes=homes)


def _offsets(content: str, spans: Sequence[tuple[int, int]]) -> Iterator[int]:
    position = 0
    for start, end in (*spans, (len(content), len(content))):
        gap = position
        while (found := _COMMENT.search(content, gap, start)) is not None:
            yield found.start()
            gap = found.end()
        position = max(position, end)


def _column(entry: Entry) -> int:
    """That of its key, or of its dash."""
    return entry.column - 2 * entry.item


def _homes(content: str, offset: int, entries: Sequence[Entry], following: int) -> tuple[tuple[str | int, ...], ...]:
    """The likeliest home first, then all others that a comment here may have been given."""
    before = content[content.rfind("\n", 0, offset) + 1 : offset]
    earlier = entries[following - 1] if following else None
    later = entries[following] if following < len(entries) else None
    found: list[tuple[str | int, ...]] = []
    if before.strip(" \t-") and earlier is not None:
        found.append(earlier.parent)
    elif later is not None and (before.strip() or len(before) <= _column(later)):
        found.append(later.parent)
    else:
        back = (entries[index] for index in range(following - 1, max(following - _FAR, 0) - 1, -1))
        inside = next((entry for entry in back if _column(entry) <= len(before)), None)
        found += [inside.parent] if inside is not None else []
    for entry in (later, earlier):
        if entry is not None:
            found += [entry.parent[:length] for length in range(len(entry.parent), -1, -1)]
    found.append(())
    return tuple(dict.fromkeys(found))
