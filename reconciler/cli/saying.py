"""What steps say while they say it: whole lines, each after the name of its node where there are several."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from reconciler.cli.output import say

if TYPE_CHECKING:
    from reconciler.api.client import Client


class Saying:
    """What was shown so far: whole lines, each after the name of its node where there are several."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str, str], int] = {}
        self._rest: dict[tuple[str, str, str], bytes] = {}

    def at(self, node: str, step: str, stream: str) -> int:
        """Bytes of an output that were taken in."""
        return self._at.get((node, step, stream), 0)

    def say(self, node: str, step: str, stream: str, data: bytes) -> None:
        """Take in more of an output, and show the lines that are whole."""
        key = (node, step, stream)
        self._at[key] = self.at(*key) + len(data)
        *lines, self._rest[key] = (self._rest.get(key, b"") + data).split(b"\n")
        for line in lines:
            self._line(key, line)

    def finish(self) -> None:
        """Show what no line end followed."""
        for key, line in self._rest.items():
            if line:
                self._line(key, line)
        self._rest.clear()

    def _line(self, key: tuple[str, str, str], line: bytes) -> None:
        node, _, stream = key
        text = line.decode("utf-8", "replace")
        style = "red" if stream == "stderr" else ""
        say(*([(f"{node}: ", "cyan")] if node else []), (text, style))
        sys.stdout.flush()


def whole(client: Client, progress: dict[str, Any]) -> None:
    """All that is kept of what a command's nodes said, node by node, step by step."""
    for one in progress["invocations"]:
        for output in one["outputs"]:
            say((f"-- {one['node']}, {output['step']}, {output['stream']}, {output['bytes']} bytes", "dim"), error=True)
            saying, at = Saying(), 0
            while at < output["bytes"]:
                data = client.output(progress["command"], one["job"], output["step"], output["stream"], at)
                if not data:
                    break
                saying.say("", output["step"], output["stream"], data)
                at += len(data)
            saying.finish()
