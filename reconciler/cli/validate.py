"""`opsctl validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.findings import view
from reconciler.cli.output import Format, FormatOption, counted, print_json, say


def validate(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A config repository's working tree.", show_default="here")
    ] = Path(),
    format_: FormatOption = Format.text,
) -> int:
    """Check a working tree, untracked files included, and show every error at once.

    Each finding stands as FILE:LINE:COLUMN, relative to DIR, with what was expected and the nearest name that exists.

    Examples:
      opsctl validate
      opsctl validate ~/config --format json

    Exit status:
      0  all is well; there may be warnings
      1  the directory cannot be read
      2  something is wrong
    """
    from reconciler.wiring.local import validate as find

    findings, files = find(directory)
    errors = sum(finding.severity == "error" for finding in findings)
    if format_ is Format.json:
        rows = [view(finding) for finding in findings]
        print_json({"format": "opsctl.validate/v1", "valid": not errors, "files": files, "findings": rows})
        return 2 if errors else 0
    for finding in findings:
        say((str(finding), "red" if finding.severity == "error" else "yellow"))
    verdict = ", ".join((counted(files, "file"), counted(errors, "error"), counted(len(findings) - errors, "warning")))
    say((verdict, "bold red" if errors else "bold green"))
    return 2 if errors else 0
