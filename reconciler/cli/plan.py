"""`opsctl plan`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import click
import typer

from reconciler import wiring
from reconciler.cli import plan_markdown, plan_text
from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.output import PlanFormat, console, print_json
from reconciler.cli.plan_groups import has_changes

if TYPE_CHECKING:
    from reconciler.engine.preview import PlanView


def plan(
    server: ServerOption = None,
    repo: Annotated[
        str | None, typer.Option(help="Compare Git with Git in this repository.", metavar="URL|DIR")
    ] = None,
    rev: Annotated[str | None, typer.Option(help="The revision to plan; the head where left out.")] = None,
    base: Annotated[
        str | None, typer.Option(help="With --repo: the revision to compare with; nothing where left out.")
    ] = None,
    worktree: Annotated[
        bool, typer.Option("--worktree", help="Plan the files as they lie there, uncommitted ones too.")
    ] = False,
    format_: Annotated[PlanFormat, typer.Option("--format", help="How to show the plan.")] = PlanFormat.text,
    out: Annotated[Path | None, typer.Option(help="Save the plan, for `opsctl apply FILE`.", metavar="FILE")] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 0 for nothing to do, 2 for changes, 1 for any error.")
    ] = False,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show what a revision would change, on which nodes, with every diff. Nothing is touched.

    With a server (--server or OPSCTL_SERVER) the revision is compared with what every node was given and says it is.
    Without one, or with --repo, Git is compared with Git, and what nodes are is unknown.

    Examples:
      opsctl plan --server unix:state/opsctl.sock --rev my-branch
      opsctl plan --repo . --base origin/main --format markdown
      opsctl plan --worktree
    """
    if server is not None and repo is None and not worktree:
        if base is not None:
            raise click.UsageError("--base compares Git with Git: name a repository with --repo")
        with connect(server, ca, key) as client:
            view = cast("PlanView", client.plan(rev, None))
    else:
        view = wiring.plan_from_git(repo or ".", rev, base, worktree=worktree)
    if out is not None:
        out.write_text(json.dumps(view, indent=1, ensure_ascii=False) + "\n")
    show(view, format_)
    return 2 if detailed_exitcode and has_changes(view) else 0


def show(view: PlanView, format_: PlanFormat) -> None:
    """Print a plan."""
    if format_ is PlanFormat.json:
        print_json(view)
    elif format_ is PlanFormat.markdown:
        sys.stdout.write(plan_markdown.render(view))
    else:
        printer = console()
        for line in plan_text.render(view):
            printer.print(line)
