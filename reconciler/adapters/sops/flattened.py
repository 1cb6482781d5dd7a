"""Metadata in files that know no nesting: `age__list_0__map_enc=...`, one text for each scalar."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STEP = re.compile(r"__(map|list)_")
_MAX_ITEMS = 10_000


def flattened(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Each scalar under the name of its path, sorted; line ends are written `\\n`."""
    return dict(sorted((name, text.replace("\n", "\\n")) for name, text in _walk("", metadata)))


def nested(lines: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of such lines. Raises `ValueError` naming the line that fits nowhere."""
    root: dict[str, Any] = {}
    for name in sorted(lines, key=_order):
        first, *steps = _STEP.split(name)
        pairs = list(zip(steps[::2], steps[1::2], strict=True))
        _put(root, [("map", first), *pairs], lines[name].replace("\\n", "\n"), name)
    return root


def dotted(name: str) -> str:
    """The path of a line as its fields are joined by dots: `age.0.enc`."""
    first, *steps = _STEP.split(name)
    return ".".join([first, *steps[1::2]])


def _walk(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(f"{name}__map_{key}" if name else key, item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(f"{name}__list_{index}", item)
    elif value is not None:
        yield name, {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _order(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else 0, part) for part in _STEP.split(name)]


def _put(root: dict[str, Any], steps: list[tuple[str, str]], text: str, name: str) -> None:
    here: Any = root
    for position, (kind, step) in enumerate(steps):
        last = position + 1 == len(steps)
        new: Any = text if last else {} if steps[position + 1][0] == "map" else []
        if kind == "map" and isinstance(here, dict):
            here = here.setdefault(step, new)
        elif kind == "list" and isinstance(here, list) and step.isdecimal() and int(step) <= min(len(here), _MAX_ITEMS):
            if int(step) == len(here):
                here.append(new)
            here = here[int(step)]
        else:
            raise ValueError(f"`{name}` fits nowhere in the metadata")
    if here is not text and here != text:
        raise ValueError(f"`{name}` fits nowhere in the metadata")
