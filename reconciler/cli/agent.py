"""`opsctl agent`."""

from __future__ import annotations

import os
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


@app.command(cls=Command, short_help="Sign an agent.pyz, so that machines take it.")
def sign(
    file: Annotated[Path, typer.Argument(help="The agent.pyz to sign.", metavar="FILE")],
    state: Annotated[
        Path | None,
        typer.Option(help="The server's state directory; default: where OPSCTL_SERVER's socket lies.", metavar="DIR"),
    ] = None,
    format_: FormatOption = Format.text,
) -> int:
    """Sign an agent.pyz with the controller key, which every machine of the fleet has pinned, and write FILE.sig.

    It is for the server's own machine, where that key lies. Machines take the two files with `agent.pyz upgrade FILE`:
    they check the signature, switch to the new version, and go back if it does not connect. Sign only what you trust:
    it runs as root on every machine that is given it.

    Examples:
      opsctl agent sign agent.pyz --state /var/lib/opsctl-server
      ssh-keygen -Y check-novalidate -n opsctl-release@v1 -s agent.pyz.sig \\
          <agent.pyz
    """
    from reconciler.wiring.local import sign_release

    made = sign_release(file, state or _state_of_socket())
    if format_ is Format.json:
        print_json(
            {"format": "opsctl.signature/v1", "path": str(made.path), "digest": made.digest, "key": made.key},
        )
    else:
        say(f"{made.path}: {made.digest}, signed by {made.key}")
    return 0


def _state_of_socket() -> Path:
    server = os.environ.get("OPSCTL_SERVER", "")
    if not server.startswith("unix:"):
        raise typer.BadParameter(
            "name the server's state directory, or its socket in OPSCTL_SERVER (unix:PATH)", param_hint="--state"
        )
    return Path(server.removeprefix("unix:")).parent
