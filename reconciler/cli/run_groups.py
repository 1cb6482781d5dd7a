"""What nodes said, those that said the same together."""

from __future__ import annotations

from typing import Any, NamedTuple

from reconciler.cli.command_view import STYLES, because
from reconciler.cli.output import counted, say

NAMES = 12
"""Names that are listed before the rest is counted."""


class Group(NamedTuple):
    """Nodes of which all of this is the same: how it ended, why, and what was said."""

    details: str
    status: str
    reason: str
    code: int
    output: str
    error: str
    nodes: tuple[str, ...]


def groups(invocations: list[dict[str, Any]]) -> list[Group]:
    """The largest last, so that it stands where people look; within a size by name."""
    found: dict[tuple[str, str, str, int, str, str], list[str]] = {}
    for one in invocations:
        code = next((step["rc"] for step in one["steps"] if step.get("rc")), 0)
        said = (one["standardOutput"], one["standardError"])
        skipped = next((step.get("reason", "") for step in one["steps"] if step.get("status") == "Skipped"), "")
        reason = "" if code else one["reason"] or skipped
        found.setdefault((one["statusDetails"], one["status"], reason, code, *said), []).append(one["node"])
    listed = [Group(*key, tuple(sorted(nodes))) for key, nodes in found.items()]
    return sorted(listed, key=lambda group: (len(group.nodes), group.nodes))


def show_groups(progress: dict[str, Any]) -> None:
    """A heading for each group, and what its nodes said."""
    for group in groups(progress["invocations"]):
        names = ", ".join(group.nodes[:NAMES])
        rest = f" and {len(group.nodes) - NAMES} more" if len(group.nodes) > NAMES else ""
        code = f", exit {group.code}" if group.code else ""
        style = STYLES.get(group.status, "")
        say(
            (f"{counted(len(group.nodes), 'node')} ", "bold"),
            (f"{group.details}{code}", style),
            because(group.reason),
            (f": {names}{rest}", "cyan"),
        )
        for text, tone in ((group.output, ""), (group.error, "red")):
            for line in text.splitlines():
                say("  ", (line, tone))
