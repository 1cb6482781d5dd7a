"""`opsctl status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.output import Format, FormatOption, line, print_json, say_lines, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text


def status(
    server: ServerOption = None, ca: CaOption = None, key: KeyOption = None, format_: FormatOption = Format.text
) -> int:
    """Show where the fleet stands: the revision in force, what keeps newer ones out, how many nodes are how.

    Examples:
      opsctl status
      opsctl status --format json | jq .revision
    """
    with connect(server, ca, key) as client:
        found = client.status()
    if format_ is Format.json:
        print_json({"format": "opsctl.status/v1", **found})
    else:
        say_lines(_told(found))
    return 0


def _told(found: dict[str, Any]) -> Iterator[Text]:
    revision, head = found["revision"], found["head"]
    yield line(("in force  ", "dim"), (revision[:12] if revision else "nothing yet", "bold"), _behind(revision, head))
    yield line(("sync      ", "dim"), f"{found['sync'] or 'not known yet'}, fetched {found['fetchedAt'] or 'never'}")
    counts = ", ".join(f"{found[word]} {word}" for word in ("online", "failing", "drifted"))
    yield line(("nodes     ", "dim"), f"{found['nodes']} enrolled: {counts}")
    if found["frozen"]:
        yield line((found["frozen"], "cyan"))
    for problem in found["problems"]:
        yield line((problem, "red"))
    for conflict in found["conflicts"]:
        yield line((conflict, "red"))
    for uid, reason in found["held"].items():
        yield line((f"{uid} is held: {reason}", "red"))
    for condition in found["conditions"]:
        yield line((f"{condition['uid']}: {condition['reason']}: {condition['message']}", "yellow"))
        for finding in condition["findings"]:
            yield line(f"    {finding}")
    for wait in found["waits"]:
        yield line((waiting(wait["uid"], wait["nodes"], wait["reason"]), "cyan"))


def _behind(revision: str | None, head: str | None) -> str:
    return f"  (the head is {head[:12]})" if head and head != revision else ""
