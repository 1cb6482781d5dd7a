"""An apply while it goes on: a bar where somebody looks, a line now and then where a log is kept."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from reconciler.cli.output import console, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINE_SECONDS = 2.0
"""At most one line in this time."""


def followed(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Show progress as it comes, on standard error; the last of it."""
    final: dict[str, Any] = {}
    for final in _bar(events) if sys.stderr.isatty() else _lines(events):  # noqa: B007  # the last one is the answer
        pass  # each is shown as it comes
    return final


def settled(progress: dict[str, Any]) -> int:
    """Pairs of node and association that have answered."""
    return int(progress["done"]) + int(progress["failed"])


def noted(progress: dict[str, Any]) -> str:
    """`2 running, 1 failed`: what is not simply done."""
    words = ("running", "waiting", "visiting", "unreached", "failed", "drifted", "offline", "held")
    return ", ".join(f"{progress[word]} {word}" for word in words if progress.get(word))


def _bar(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("applying"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} done"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console(error=True), transient=True) as bar:
        task = bar.add_task("apply", total=0, note="")
        for progress in events:
            bar.update(task, total=progress["total"], completed=settled(progress), note=noted(progress))
            yield progress


def _lines(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    told, next_line = "", 0.0
    for progress in events:
        text = f"applying: {settled(progress)}/{progress['total']} done"
        text += f", {noted(progress)}" if noted(progress) else ""
        if text != told and time.monotonic() >= next_line and not progress["finished"]:
            say(text, error=True)
            told, next_line = text, time.monotonic() + LINE_SECONDS
        yield progress
