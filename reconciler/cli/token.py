"""`opsctl token`."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect, unenrolled_names
from reconciler.cli.manual import Command, Group
from reconciler.cli.output import Format, FormatOption, print_json

app = typer.Typer(cls=Group, no_args_is_help=True, help="Join tokens for new machines.")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@app.command(cls=Command, short_help="Make a join token.")
def create(
    node: Annotated[
        str | None,
        typer.Option(help="Bind the enrolment to this Node file.", metavar="NAME", autocompletion=unenrolled_names),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A label that the node gets from the token; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long it may be used: 30m, 1h, 7d.", metavar="TIME")] = "1h",
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: FormatOption = Format.text,
) -> int:
    """Make a join token. It is shown once, works once, and carries where the server is and which CA to believe.

    Give it to the agent through a file or standard input, never as an argument: arguments are seen by everybody on a
    machine. Without --node, the machine gets the name that it calls itself, and labels from the token alone.

    Examples:
      opsctl token create --node web-1 |
          ssh root@web-1 python3 agent.pyz enroll --token-file -
      opsctl token create --label Env=prod --ttl 7d > token
    """
    labels = {}
    for text in label or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r}: expected KEY=VALUE", param_hint="--label")
        labels[name] = value
    with connect(server, ca, key) as client:
        made = client.create_token(node, labels, _seconds(ttl))
    if format_ is Format.json:
        print_json({"format": "opsctl.token/v1", **made})
    else:
        sys.stdout.write(made["token"] + "\n")
    return 0


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if not found:
        raise typer.BadParameter(f"{text!r}: expected a number and s, m, h or d, as 30m", param_hint="--ttl")
    return int(found.group(1)) * _UNITS[found.group(2)]
