"""JSONPath as SSM has it: `$.name`, `['name']`, `..name`, `[0]`, `[-1]`, `[*]`, `[0,2]`, `[1:3]`, `[?(@.a == 'b')]`.

SSM documents child, deep scan and index, and that a deep scan always gives a list; the rest is what its own engine
takes besides. Libraries follow RFC 9535 or a dialect of their own, and leave open what makes a path give one value or
many: what is here is smaller than using one would be.
"""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class NotAPath(ValueError):
    """A text that is no JSONPath of these; it says from which part on."""


@dataclass(frozen=True, slots=True)
class Every:
    """All that a value holds."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The fields and items of these names and positions."""

    keys: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Items from `first` to before `last`."""

    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Test:
    """Whether something is at `path` that stands in this relation to `value`; without a relation, anything at all."""

    path: Path
    relation: str
    value: Any


@dataclass(frozen=True, slots=True)
class Where:
    """What a value holds that passes all tests of one of these groups."""

    groups: tuple[tuple[Test, ...], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One step down. `deep`: from this value and from all below it."""

    pick: Every | Keys | Range | Where
    deep: bool = False

    @property
    def many(self) -> bool:
        """Whether it may find several values."""
        return self.deep or not isinstance(self.pick, Keys) or len(self.pick.keys) > 1


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. `many`: it gives a list of all that it finds, else the one value."""

    parts: tuple[Part, ...]
    many: bool


def parse(text: str) -> Path:
    """Raises `NotAPath`."""
    if not text.startswith("$"):
        raise NotAPath("a path begins with `$`")
    return _path(text, 1)


def select(path: Path, value: Any) -> Any:
    """What is at the path: a list for a path of many. Raises `LookupError` where a path of one finds nothing."""
    found: Iterable[Any] = [value]
    for part in path.parts:
        found = [below for one in found for below in _below(part, one)]
    values = list(found)
    if path.many:
        return values
    if not values:
        raise LookupError
    return values[0]


_PART = re.compile(
    r"(?P<deep>\.\.)?(?:(?(deep)|\.)(?P<name>[^.\[\]'\"()\s]+)"
    r"|\.?\[(?P<inside>(?:'[^']*+'|\"[^\"]*+\"|\[[^\]]*+\]|[^\[\]'\"])*+)\])"
)
_KEY = re.compile(r"\s*+(?:(?P<index>-?[0-9]{1,9})|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\s*+(?P<joint>,|\Z)")
_RANGE = re.compile(r"(?P<first>-?[0-9]{1,9})?\s*+:\s*+(?P<last>-?[0-9]{1,9})?\Z")
_FILTER = re.compile(r"\?\s*+\((?P<tests>.*)\)\Z", re.DOTALL)
_TEST = re.compile(
    r"\s*+@(?P<path>(?:'[^']*+'|\"[^\"]*+\"|[^=!<>&|\s'\"])*+)\s*+"
    r"(?:(?P<relation>==|!=|<=|>=|<|>)\s*+(?P<value>'[^']*+'|\"[^\"]*+\"|-?[0-9]{1,15}(?:\.[0-9]{1,15})?|true|false|null))?"
    r"\s*+(?P<joint>&&|\|\||\Z)"
)


def _path(text: str, position: int) -> Path:
    parts = []
    while position < len(text):
        found = _PART.match(text, position)
        pick = _pick(found) if found else None
        if found is None or pick is None:
            raise NotAPath(f"`{text[position:]}` cannot be read as a path")
        parts.append(Part(pick, bool(found["deep"])))
        position = found.end()
    return Path(tuple(parts), any(part.many for part in parts))


def _pick(found: re.Match[str]) -> Every | Keys | Range | Where | None:
    if found["name"] is not None:
        return Every() if found["name"] == "*" else Keys((found["name"],))
    inside = found["inside"].strip()
    if inside == "*":
        return Every()
    if ranged := _RANGE.match(inside):
        first, last = (None if bound is None else int(bound) for bound in ranged.groups())
        return Range(first, last)
    if filtered := _FILTER.match(inside):
        return _where(filtered["tests"])
    return _keys(inside)


def _keys(inside: str) -> Keys | None:
    keys: list[str | int] = []
    position, joint = 0, ","
    while joint:
        found = _KEY.match(inside, position)
        if found is None:
            return None
        keys.append(int(found["index"]) if found["index"] else found["single"] or found["double"] or "")
        position, joint = found.end(), found["joint"]
    return Keys(tuple(keys))


def _where(tests: str) -> Where | None:
    groups: list[list[Test]] = [[]]
    position, joint = 0, "&&"
    while joint:
        found = _TEST.match(tests, position)
        if found is None:
            return None
        value = found["value"] or "null"
        literal = value[1:-1] if value[0] in "'\"" else json.loads(value)
        groups[-1].append(Test(_path(found["path"], 0), found["relation"] or "", literal))
        position, joint = found.end(), found["joint"]
        if joint == "||":
            groups.append([])
    return Where(tuple(tuple(group) for group in groups))


def _below(part: Part, value: Any) -> Iterator[Any]:
    for one in _everywhere(value) if part.deep else (value,):
        yield from _picked(part.pick, one)


def _everywhere(value: Any) -> Iterator[Any]:
    yield value
    for below in _held(value):
        yield from _everywhere(below)


def _held(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _picked(pick: Every | Keys | Range | Where, value: Any) -> Iterator[Any]:
    if isinstance(pick, Every):
        yield from _held(value)
    elif isinstance(pick, Range):
        yield from value[pick.first : pick.last] if isinstance(value, list) else ()
    elif isinstance(pick, Where):
        yield from (one for one in _held(value) if any(all(map(_passes(one), group)) for group in pick.groups))
    else:
        for key in pick.keys:
            if isinstance(key, str):
                if isinstance(value, dict) and key in value:
                    yield value[key]
            elif isinstance(value, list) and -len(value) <= key < len(value):
                yield value[key]


_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _passes(value: Any) -> Callable[[Test], bool]:
    def passes(test: Test) -> bool:
        try:
            found = select(test.path, value)
            return not test.relation or _RELATIONS[test.relation](found, test.value)
        except (LookupError, TypeError):  # nothing there, or nothing that can be compared
            return False

    return passes
