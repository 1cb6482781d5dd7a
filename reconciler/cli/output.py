"""How answers are shown: text for people, JSON for programs, colour where it helps and is wanted."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Format(StrEnum):
    """What `--format` takes."""

    text = "text"
    json = "json"


class PlanFormat(StrEnum):
    """What `plan --format` takes."""

    text = "text"
    json = "json"
    markdown = "markdown"


def console(*, error: bool = False) -> Console:
    """A console that obeys NO_COLOR, TERM=dumb and pipes; nothing is wrapped or cut where a program reads."""
    stream = sys.stderr if error else sys.stdout
    made = Console(file=stream, highlight=False, soft_wrap=True, emoji=False, markup=False)
    if not stream.isatty():
        made.width = 200
    return made


def print_json(value: Any) -> None:
    """One JSON document, keys in the order given."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[str] = frozenset()) -> Table:
    """A table that fits the terminal: long cells are folded, never cut."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


STYLES = {
    "COMPLIANT": "green",
    "NON_COMPLIANT": "red",
    "UNKNOWN": "yellow",
    "Online": "green",
    "ConnectionLost": "yellow",
    "NotEnrolled": "dim",
}
"""Colour by SSM's own words."""
