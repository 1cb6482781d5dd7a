"""`python3 -m tests.demo.end`: what `KEEP=1 make demo` left running goes, and nothing else does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import fleet, lifeline
from tests.demo.ground import DIRECTORY
from tests.stage import Sandbox, until

if TYPE_CHECKING:
    from tests.demo.story import Story

_NOTE = DIRECTORY / "kept.json"


def note(story: Story) -> None:
    """Let go of what runs, and keep book of it."""
    sandboxes = [machine for machine in story.machines.values() if isinstance(machine, Sandbox)]
    if story.fleet is not None:
        story.fleet.keep()
    kept: dict[str, Any] = {
        "processes": [story.daemon.process, *(sandbox.process for sandbox in sandboxes)],
        "fleet": story.fleet.number if story.fleet is not None else None,
    }
    for process in kept["processes"]:
        lifeline.let_go(process)
    _NOTE.write_text(json.dumps(kept))


def end() -> None:
    """End the processes, remove the nodes and the directory. Where nothing was kept, only remnants are removed."""
    if _NOTE.exists():
        kept = json.loads(_NOTE.read_text())
        processes = [process for process in kept["processes"] if _is_ours(process)]
        for process in processes:
            os.kill(process, signal.SIGTERM)
        until("the demo's processes to end", lambda: not any(map(_is_ours, processes)), 70)
        if kept["fleet"] in fleet.kept_nodes():
            fleet.close_kept(kept["fleet"])
    shutil.rmtree(DIRECTORY, ignore_errors=True)


def _is_ours(process: int) -> bool:
    """Whether the process is one of the demo's still: its number may be another one's by now."""
    with suppress(OSError):
        return str(DIRECTORY).encode() in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


if __name__ == "__main__":
    end()
    sys.exit(0)
