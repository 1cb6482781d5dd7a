"""`opsctl init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.output import Format, FormatOption, counted, print_json, say


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty directory.")],
    operator_key: Annotated[
        Path | None,
        typer.Option(help="Public half of your SSH key (ed25519); you become an operator.", metavar="FILE"),
    ] = None,
    format_: FormatOption = Format.text,
) -> int:
    """Make a config repository: the machines of a small company, believable, committed, and ready to become yours.

    Editors complete and check its files by the schemas below .opsctl/schemas.

    Examples:
      opsctl init config
      opsctl init config --operator-key ~/.ssh/id_ed25519.pub
    """
    from reconciler.wiring.local import init as make

    commit, files = make(directory, operator_key)
    if format_ is Format.json:
        print_json({"format": "opsctl.init/v1", "directory": str(directory), "commit": commit, "files": files})
        return 0
    say((f"{directory}: {counted(files, 'file')}, committed as {commit[:12]}", "green"))
    say(f"next: opsctl validate {directory}; opsctl plan --repo {directory}")
    return 0
