"""`opsctl secret who-can-read`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.output import Format, FormatOption, line, print_json, say_lines
from reconciler.core.problem import Refused


def who_can_read(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A parameter, or a level of the hierarchy.")],
    repo: Annotated[
        Path, typer.Option("--repo", help="The repository's working tree.", metavar="DIR", show_default="here")
    ] = Path(),
    format_: FormatOption = Format.text,
) -> int:
    """List everything that can read a parameter, or those below a level: the keys that its file is encrypted to, the
    operators that a server opens it for with the roles that say so, and the nodes whose associations refer to it.

    It says what the working tree says, so that a pull request's answer can be compared with that of its base. Whoever
    can read the repository can read what is not encrypted.

    Examples:
      opsctl secret who-can-read /prod/db/password
      opsctl secret who-can-read /prod --format json
    """
    from reconciler.wiring.parameters import who_reads

    found = who_reads(repo, path)
    if not found:
        raise Refused(f"there is no parameter at or below {path}", "parameter", "see `opsctl param list`")
    if format_ is Format.json:
        print_json({"format": "opsctl.readers/v1", "parameters": found})
        return 0
    for one in found:
        say_lines([line((one["name"], "bold"), (f"  {one['type']}", "dim"))])
        say_lines(line(("  key          ", "dim"), key) for key in one["keys"])
        for who in one["operators"]:
            say_lines([line(("  operator     ", "dim"), who["operator"], f" by {', '.join(who['roles'])}")])
        for held in one["associations"]:
            say_lines([line(("  nodes        ", "dim"), ", ".join(held["nodes"]), f" by {held['association']}")])
    return 0
