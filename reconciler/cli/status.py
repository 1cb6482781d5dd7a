"""`opsctl status`."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.output import Format, console, print_json


def status(
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.text,
) -> int:
    """Where the fleet stands: the revision in force, what keeps newer ones out, how many nodes are how.

    Example: opsctl status
    """
    with connect(server, ca, key) as client:
        found = client.status()
    if format_ is Format.json:
        print_json({"format": "opsctl.status/v1", **found})
        return 0
    out = console()
    revision, head = found["revision"] or "none", found["head"] or "none"
    out.print(f"in force  {revision[:12]}" + (f"  (head {head[:12]})" if head != revision else ""), style="bold")
    out.print(f"sync      {found['sync'] or 'none yet'}, fetched {found['fetchedAt'] or 'never'}")
    out.print(
        f"nodes     {found['nodes']}: {found['online']} online, {found['failing']} failing, {found['drifted']} drifted"
    )
    for problem in found["problems"]:
        out.print(problem, style="red")
    for uid, reason in found["held"].items():
        out.print(f"held      {uid}: {reason}", style="red")
    for condition in found["conditions"]:
        out.print(f"{condition['uid']}: {condition['reason']}: {condition['message']}", style="yellow")
        for finding in condition["findings"]:
            out.print(f"    {finding}")
    return 0
