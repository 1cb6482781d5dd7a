"""`opsctl init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler import wiring
from reconciler.cli.output import console


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty directory.")],
    operator_key: Annotated[
        Path | None,
        typer.Option(help="Public half of your SSH key (ed25519); you become an operator.", metavar="FILE"),
    ] = None,
) -> int:
    """Make a config repository: a believable small company, committed, ready to be changed into yours.

    Example: opsctl init config && cd config && opsctl validate
    """
    commit, files = wiring.init(directory, operator_key)
    out = console()
    out.print(f"{directory}: {files} files, committed as {commit[:12]}", style="green")
    out.print("next:  opsctl validate, opsctl plan, then opsctl serve --repo DIR --state STATE")
    return 0
