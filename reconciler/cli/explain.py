"""`opsctl explain`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.output import STYLES, Format, console, print_json


def explain(
    what: Annotated[
        str, typer.Argument(metavar="NODE[:CLAIM]", help="As web-1, web-1:/etc/motd, web-1:package:nginx.")
    ],
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.text,
) -> int:
    """Why a node is as it is: which association, which step at which file:line, whose commit; and what it waits for.

    Example: opsctl explain web-1:/etc/motd
    """
    node, _, claim = what.partition(":")
    with connect(server, ca, key) as client:
        found = client.explain(node, claim or None)
    if format_ is Format.json:
        print_json({"format": "opsctl.explain/v1", **found})
        return 0
    out = console()
    if not found["reasons"]:
        out.print(f"nothing in Git asks for {claim or 'anything'} on {node}")
        return 0
    for reason in found["reasons"]:
        head = Text(f"{reason['claim']}", "bold")
        head.append(f"  {reason['outcome']}", STYLES.get(reason["compliance"], ""))
        out.print(head)
        out.print(f"    {reason['uid']} at {reason['declared']}, for {', '.join(reason['because'])}")
        out.print(f"    step {reason['step']} of {reason['document']} at {reason['place']}")
        out.print(f"    {reason['commit'][:12]} {reason['author']} {reason['committedAt']}: {reason['subject']}")
        if reason["reason"]:
            out.print(f"    {reason['reason']}", style="red")
        for wait in reason["waits"]:
            out.print(f"    waits: {wait}", style="cyan")
    return 0
