"""A command while it goes on: a table where somebody looks, a line now and then where a log is kept."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from reconciler.cli.command_view import STYLES
from reconciler.cli.output import console, line, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.table import Table

LINE_SECONDS = 2.0
"""At most one line in this time."""
ORDER = {"Failed": 0, "TimedOut": 0, "Cancelling": 1, "InProgress": 2, "Pending": 3, "Delayed": 4}
"""Who is shown first where not all fit; whoever succeeded is only counted."""


def watched(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Show progress as it comes, on standard error; the last of it."""
    final: dict[str, Any] = {}
    for final in _live(events) if sys.stderr.isatty() else _lines(events):  # noqa: B007  # the last one is the answer
        pass  # each is shown as it comes
    return final


def counts(progress: dict[str, Any]) -> str:
    """`12 of 40 done, 3 InProgress, 25 Delayed`."""
    others = Counter(one["statusDetails"] for one in progress["invocations"] if one["status"] != "Success")
    said = [f"{progress['completedCount']} of {progress['targetCount']} done"]
    said += [f"{number} {details}" for details, number in sorted(others.items())]
    return ", ".join(said)


def _live(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    from rich.live import Live

    shown = console(error=True)
    with Live(console=shown, transient=True, auto_refresh=False) as live:
        for progress in events:
            live.update(_board(progress, max(3, shown.height - 4)), refresh=True)
            yield progress


def _board(progress: dict[str, Any], rows: int) -> Table:
    from rich.table import Table

    board = Table(box=None, pad_edge=False, header_style="bold", title=line(counts(progress)), title_justify="left")
    for name in ("NODE", "STATUS", "WHY"):
        board.add_column(name, no_wrap=True, overflow="ellipsis")
    left = [one for one in progress["invocations"] if one["status"] != "Success"]
    for one in sorted(left, key=lambda one: (ORDER.get(one["status"], 5), one["node"]))[:rows]:
        style = STYLES.get(one["status"], "")
        board.add_row(line(one["node"]), line((one["statusDetails"], style)), line(one["reason"]))
    return board


def _lines(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    told, next_line = "", 0.0
    for progress in events:
        text = counts(progress)
        if text != told and time.monotonic() >= next_line and not progress["finished"]:
            say(text, error=True)
            told, next_line = text, time.monotonic() + LINE_SECONDS
        yield progress
