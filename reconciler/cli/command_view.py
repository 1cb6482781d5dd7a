"""Commands as people see them: while they go on, and what they came to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from reconciler.cli.output import print_table, say
from reconciler.cli.saying import Saying

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.api.client import Client

STYLES = {
    "Success": "green",
    "Failed": "red",
    "TimedOut": "red",
    "Cancelled": "yellow",
    "Cancelling": "yellow",
    "Skipped": "dim",
}
LIMIT = 16 * 1024 * 1024
"""Bytes that the server keeps of each output."""
REST_SECONDS = 10.0
"""For what was said at last to arrive: a report may come before it."""


def followed(client: Client, command_id: str, *, quiet: bool) -> dict[str, Any]:
    """The last progress; what steps say is shown as it comes."""
    saying = Saying()
    progress: dict[str, Any] = {}
    for progress in client.command_events(command_id):  # the last one is the answer
        if not quiet:
            _say_news(client, progress, saying)
    if not quiet:
        _say_rest(client, progress, saying)
        saying.finish()
    return progress


def show_steps(rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """A row for each step of each node."""
    listed = list(rows)
    if not listed:
        return
    print_table(
        ("NODE", "STEP", "ACTION", "STATUS", "CODE", "WHY"),
        [
            (
                node,
                step["name"],
                step["action"],
                (step["status"], STYLES.get(step["status"], "")),
                str(step.get("rc", 0)),
                step.get("reason", "") or _changes(step),
            )
            for node, step in listed
        ],
        numbers=frozenset({"CODE"}),
    )


def conclude(progress: dict[str, Any]) -> None:
    """What a command came to: each step on each node, then the whole."""
    show_steps((one["node"], step) for one in progress["invocations"] for step in one["steps"])
    for one in progress["invocations"]:
        if not one["steps"]:
            say(one["node"], ": ", (one["statusDetails"], STYLES.get(one["status"], "")), because(one["reason"]))
    say_verdict(progress)


def say_failures(progress: dict[str, Any]) -> None:
    """Where it did not succeed, and why."""
    for one in progress["invocations"]:
        if one["status"] != "Success":
            say(
                (f"{one['node']}: ", "cyan"),
                (one["statusDetails"], STYLES.get(one["status"], "")),
                because(one["reason"]),
            )


def say_verdict(progress: dict[str, Any]) -> None:
    """The whole, in one line."""
    verdict = f"{progress['statusDetails']}: {progress['completedCount']} of {progress['targetCount']} done"
    verdict += f", {progress['errorCount']} failed" if progress["errorCount"] else ""
    say((verdict, f"bold {STYLES.get(progress['status'], '')}".strip()))


def because(reason: str | None) -> str:
    """A reason in brackets."""
    return f" ({reason})" if reason else ""


def _say_news(client: Client, progress: dict[str, Any], saying: Saying) -> None:
    for one in progress["invocations"]:
        for output in one["outputs"]:
            step, stream = output["step"], output["stream"]
            at = saying.at(one["node"], step, stream)
            while at < output["bytes"]:
                data = client.output(progress["command"], one["job"], step, stream, at)
                if not data:
                    break
                saying.say(one["node"], step, stream, data)
                at += len(data)


def _say_rest(client: Client, progress: dict[str, Any], saying: Saying) -> None:
    deadline = time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline:
        _say_news(client, progress, saying)
        if not any(
            saying.at(one["node"], step["name"], stream) < min(size, LIMIT)
            for one in progress["invocations"]
            for step in one["steps"]
            for stream, size in step.get("sizes", {}).items()
        ):
            return
        time.sleep(0.2)
        progress = client.command(progress["command"])


def _changes(step: dict[str, Any]) -> str:
    """What a step that holds something did, or would do, in one line."""
    return "" if step.get("sizes") else str(step.get("output", "")).split("\n")[0]
