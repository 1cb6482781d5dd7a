"""Files of `KEY=VALUE` lines, as SOPS reads and writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.core.manifest.text import Text
from reconciler.core.problem import Finding, Invalid, Place

if TYPE_CHECKING:
    from reconciler.core.manifest import Loc


class Line(NamedTuple):
    """A line, by its number from 1."""

    number: int
    key: str
    value: str


class Lines:
    """The places of such a file: the number of a line is the way to its value."""

    def __init__(self, path: str) -> None:
        self._path = path

    def of(self, loc: Loc = ()) -> Place:
        return Place(self._path, int(loc[0]), 1) if loc else Place(self._path)


def read(data: bytes, path: str) -> tuple[list[Line], tuple[Finding, ...]]:
    """Its lines without comments, and those that are none."""
    try:
        text = Text.decode(data, path).content
    except Invalid as invalid:
        return [], invalid.findings
    lines, findings = [], []
    for number, written in enumerate(text.split("\n"), 1):
        key, equals, value = written.partition("=")
        if not written.strip() or written.startswith("#"):
            continue
        if not equals:
            findings.append(Finding("this line has no `=`", Place(path, number, 1), "KEY=VALUE, or a comment"))
        else:
            lines.append(Line(number, key, value.replace("\\n", "\n")))
    return lines, tuple(findings)
