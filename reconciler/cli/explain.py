"""`opsctl explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect, node_names
from reconciler.cli.output import STYLES, Format, FormatOption, line, print_json, say, say_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NODE[:CLAIM]", help="As web-1, web-1:/etc/motd, web-1:package:nginx.", autocompletion=node_names
        ),
    ],
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: FormatOption = Format.text,
) -> int:
    """Say why a node is as it is: which association, which step at which file:line, whose commit; what it waits for.

    Examples:
      opsctl explain web-1
      opsctl explain web-1:/etc/motd
      opsctl explain web-1:unit:nginx.service
    """
    node, _, claim = what.partition(":")
    with connect(server, ca, key) as client:
        found = client.explain(node, claim or None)
    if format_ is Format.json:
        print_json({"format": "opsctl.explain/v1", **found})
    elif not found["reasons"]:
        say(f"nothing in Git asks for {claim or 'anything'} on {node}")
    else:
        for reason in found["reasons"]:
            say_lines(_told(reason))
    return 0


def _told(reason: dict[str, Any]) -> Iterator[Text]:
    style = STYLES.get(reason["outcome"]) or STYLES.get(reason["compliance"], "")
    yield line((reason["claim"], "bold"), (f"  {reason['outcome']}", style))
    yield line(f"    {reason['uid']} at {reason['declared']}, for {', '.join(reason['because'])}")
    yield line(f"    step {reason['step']} of {reason['document']} at {reason['place']}")
    day = reason["committedAt"][:10]
    yield line(f"    {reason['commit'][:12]} {reason['author']}, {day}: {reason['subject']}")
    if reason["reason"]:
        yield line((f"    {reason['reason']}", "red"))
    for wait in reason["waits"]:
        yield line((f"    waits: {wait}", "cyan"))
