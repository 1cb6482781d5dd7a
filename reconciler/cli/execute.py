"""`opsctl exec`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption
from reconciler.cli.param import PathArgument, RepoOption, parameters
from reconciler.core.problem import Refused


def execute(
    path: PathArgument,
    program: Annotated[
        list[str], typer.Argument(metavar="-- PROGRAM [ARGUMENT]...", help="What to run.", show_default=False)
    ],
    pristine: Annotated[bool, typer.Option("--pristine", help="Nothing else of this environment.")] = False,
    repo: RepoOption = None,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Run a program in place of this one, with the parameters below a level as its environment, secrets open.

    A variable's name is what follows the level, in capitals, with _ for everything that is no letter or digit:
    /prod/web/db-url below /prod/web is DB_URL. No shell reads any of it.

    Examples:
      opsctl exec /prod/web -- ./server --port 8080
      opsctl exec /prod/web --pristine -- /usr/bin/env

    Exit status:
      that of the program
    """
    from reconciler.engine.environment import variables

    with parameters(repo, server, ca, key) as known:
        found = variables(known.below(path, recursive=True, decrypt=True), path)
    if not found:
        raise Refused(f"there is no parameter below {path}", "environment")
    environment = found if pristine else {**os.environ, **found}
    try:
        os.execvpe(program[0], program, environment)  # noqa: S606  # that no shell is asked is the point
    except FileNotFoundError:
        raise Refused(f"there is no program {program[0]}", "environment") from None
    except ValueError as error:
        raise Refused(f"the parameters are no environment: {error}", "environment") from None
