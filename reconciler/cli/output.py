"""How answers are shown: text for people, JSON for programs, colour where it helps and is wanted.

All text passes through `printable` here, so that nothing that came from elsewhere reaches a terminal as it is.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.printable import printable, printable_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.text import Text


class Format(StrEnum):
    """What `--format` takes."""

    text = "text"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How to show it.")]


class PlanFormat(StrEnum):
    """What `plan --format` takes."""

    text = "text"
    json = "json"
    markdown = "markdown"


WIDE = 10_000
"""Columns where nobody looks: a program that reads text wants whole lines."""

STYLES: Mapping[str, str] = {
    "COMPLIANT": "green",
    "NON_COMPLIANT": "red",
    "UNKNOWN": "yellow",
    "Online": "green",
    "Inactive": "yellow",
    "ConnectionLost": "yellow",
    "Held": "red",
    "NotEnrolled": "dim",
    "Failed": "red",
    "TimedOut": "red",
    "Interrupted": "red",
    "Cancelled": "yellow",
    "Drifted": "yellow",
    "Changed": "green",
}
"""Colour by SSM's own words."""


def console(*, error: bool = False) -> Console:
    """A console that obeys NO_COLOR, TERM=dumb and pipes, and wraps nothing but tables."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    made = Console(file=stream, highlight=False, soft_wrap=True, emoji=False, markup=False)
    if not made.is_terminal:
        made.width = WIDE
    return made


def line(*parts: str | tuple[str, str], keep: str = "") -> Text:
    """One line of texts, each plain or with its style; made printable."""
    from rich.text import Text

    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((printable(text, keep), style) for text, style in pairs))


def say(*parts: str | tuple[str, str], error: bool = False) -> None:
    """Print one line."""
    console(error=error).print(line(*parts))


def say_lines(lines: Iterable[Text]) -> None:
    """Print lines of `line`."""
    out = console()
    for one in lines:
        out.print(one)


def print_json(value: Any) -> None:
    """One JSON document, keys in the order given."""
    sys.stdout.write(printable_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]], *, numbers: frozenset[str] = frozenset()
) -> None:
    """A table as wide as the terminal, where long cells are folded and never cut; a cell may have a style."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(line(cell) for cell in row))
    out = console()
    with out.capture() as captured:
        out.print(made, soft_wrap=False)
    sys.stdout.write("".join(f"{row.rstrip(' ')}\n" for row in captured.get().splitlines()))


def counted(number: int, noun: str) -> str:
    """`1 node`, `412 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def waiting(uid: str, nodes: int, reason: str) -> str:
    """What the gate lets wait, in one line."""
    return f"{uid or 'labels and vars'}: {counted(nodes, 'node')} {'waits' if nodes == 1 else 'wait'}: {reason}"
