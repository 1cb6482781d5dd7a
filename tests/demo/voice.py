"""How the demo speaks: one voice for what happens, another for what commands print."""

from __future__ import annotations

import os
import sys
import threading

_lock = threading.Lock()
_COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def say(text: str, *, faint: bool = False) -> None:
    """A line of the story."""
    _write(text, "2" if faint else "1")


def act(command: str) -> None:
    """A command, as a person would have typed it."""
    _write(f"\n$ {command}", "36")


def show(output: str, limit: int = 40) -> None:
    """What a command printed, with its middle left out where it is long."""
    lines = output.rstrip().splitlines()
    if len(lines) > limit:
        head = limit * 2 // 3
        lines = [*lines[:head], f"  ... {len(lines) - limit} lines ...", *lines[head - limit :]]
    _write("\n".join(f"  {line}" for line in lines), "")


def _write(text: str, style: str) -> None:
    with _lock:
        sys.stdout.write(f"\033[{style}m{text}\033[0m\n" if style and _COLOUR else f"{text}\n")
        sys.stdout.flush()
