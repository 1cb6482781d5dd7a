"""Nesting: circles and depths among things that are made of others of their kind.

Linear and without recursion, for what is nested comes from files that anybody may have written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Nesting:
    """`depths` of what leads to no circle: 1 for what nests nothing. `circles` by what is part of one, or between two.

    A circle names its first member again at the end.
    """

    depths: Mapping[str, int]
    circles: Mapping[str, tuple[str, ...]]


def nesting(parts: Mapping[str, Sequence[str]]) -> Nesting:
    """By name what each is made of, each part once. Parts that are not in the mapping themselves do not count."""
    known = {name: [part for part in nested if part in parts] for name, nested in parts.items()}
    holders: dict[str, list[str]] = {name: [] for name in known}
    for name, nested in known.items():
        for part in nested:
            holders[part].append(name)
    order = _peel(known, holders)
    depths: dict[str, int] = {}
    for name in order:
        depths[name] = 1 + max((depths[part] for part in known[name]), default=0)
    left = {name: [part for part in known[name] if part not in depths] for name in known if name not in depths}
    above = {name: [holder for holder in holders[name] if holder in left] for name in left}
    core = left.keys() - _peel(above, left)
    return Nesting(depths, _circles({name: [part for part in left[name] if part in core] for name in sorted(core)}))


def _peel(needs: Mapping[str, Sequence[str]], needed_by: Mapping[str, Sequence[str]]) -> list[str]:
    """Those that need nothing, then those that need only these, and so on; never what is part of a circle."""
    waiting = {name: len(needed) for name, needed in needs.items()}
    peeled = [name for name, count in waiting.items() if not count]
    for name in peeled:  # grows
        for holder in needed_by[name]:
            waiting[holder] -= 1
            if not waiting[holder]:
                peeled.append(holder)
    return peeled


def _circles(core: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The circle that following first parts leads to, from each; there is always a next one."""
    found: dict[str, tuple[str, ...]] = {}
    for name in core:
        way: dict[str, None] = {}
        at = name
        while at not in found and at not in way:
            way[at] = None
            at = core[at][0]
        passed = list(way)
        circle = found[at] if at in found else (*passed[passed.index(at) :], at)
        found.update(dict.fromkeys(passed, circle))
    return found
