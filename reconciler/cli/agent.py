"""`opsctl agent`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.manual import Command, Group
from reconciler.cli.output import Format, FormatOption, print_json, say

app = typer.Typer(cls=Group, no_args_is_help=True, help="The program that runs on machines.")


@app.command(cls=Command, short_help="Write out agent.pyz.")
def package(
    out: Annotated[Path, typer.Option(help="Where to write it.", metavar="FILE")] = Path("agent.pyz"),
    format_: FormatOption = Format.text,
) -> int:
    """Write out agent.pyz, the one file that a machine needs. It runs on Python 3.8 or newer and installs nothing else.

    Examples:
      opsctl agent package
      opsctl agent package --out /srv/www/agent.pyz
    """
    from reconciler.wiring.local import write_agent

    packed = write_agent(out)
    if format_ is Format.json:
        print_json({"format": "opsctl.agent/v1", "path": str(out), "size": packed.size, "digest": packed.digest})
    else:
        say(f"{out}: {packed.size // 1024} KiB, {packed.digest}")
    return 0
