"""`opsctl validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler import wiring
from reconciler.cli.output import Format, console, print_json
from reconciler.cli.plan_groups import counted


def validate(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="A config repository's working tree.")] = Path(),
    format_: Annotated[Format, typer.Option("--format", help="How to show the findings.")] = Format.text,
) -> int:
    """Check a working tree, untracked files included, and show every error at once.

    Each finding stands as FILE:LINE:COLUMN with what was expected and the nearest name that exists. Exits 0 when all
    is well (warnings allowed), 2 when anything is wrong.

    Example: opsctl validate ~/config
    """
    findings, files = wiring.validate(directory)
    errors = [finding for finding in findings if finding.severity == "error"]
    if format_ is Format.json:
        rows = [
            {
                "path": finding.place.path,
                "line": finding.place.line,
                "column": finding.place.column,
                "severity": finding.severity,
                "message": finding.message,
                "expected": finding.expected,
                "nearest": finding.nearest,
                "related": [str(place) for place in finding.related],
            }
            for finding in findings
        ]
        print_json({"format": "opsctl.validate/v1", "valid": not errors, "findings": rows})
        return 2 if errors else 0
    out = console()
    for finding in findings:
        out.print(str(finding), style="red" if finding.severity == "error" else "yellow")
    warnings = len(findings) - len(errors)
    verdict = f"{counted(files, 'file')}, {counted(len(errors), 'error')}, {counted(warnings, 'warning')}"
    out.print(verdict, style="bold red" if errors else "bold green")
    return 2 if errors else 0
