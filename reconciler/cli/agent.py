"""`opsctl agent`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler import wiring
from reconciler.cli.output import console

app = typer.Typer(no_args_is_help=True, help="The program that runs on nodes.")


@app.command()
def package(
    out: Annotated[Path, typer.Option(help="Where to write it.", metavar="FILE")] = Path("agent.pyz"),
) -> int:
    """Write out agent.pyz, the one file that a node needs (Python 3.8 or newer, nothing else).

    Example: opsctl agent package --out agent.pyz && scp agent.pyz web-1:
    """
    size = wiring.write_agent(out)
    console().print(f"{out}: {size // 1024} KiB")
    return 0
