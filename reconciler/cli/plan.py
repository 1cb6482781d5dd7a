"""`opsctl plan`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.output import PlanFormat, console, print_json, say_lines

if TYPE_CHECKING:
    from reconciler.engine.views import PlanView


def plan(
    context: typer.Context,
    server: ServerOption = None,
    repo: Annotated[
        str | None, typer.Option(help="Compare Git with Git in this repository.", metavar="URL|DIR")
    ] = None,
    rev: Annotated[
        str | None, typer.Option(help="The revision to plan; the head where left out.", metavar="REV")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Without a server: the revision to compare with; nothing where left out.", metavar="REV"),
    ] = None,
    worktree: Annotated[
        bool, typer.Option("--worktree", help="Plan the files as they lie there, uncommitted ones too.")
    ] = False,
    format_: Annotated[PlanFormat, typer.Option("--format", help="How to show the plan.")] = PlanFormat.text,
    brief: Annotated[bool, typer.Option("--brief", help="In text: one line per change, without diffs.")] = False,
    out: Annotated[Path | None, typer.Option(help="Save the plan, for `opsctl apply FILE`.", metavar="FILE")] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 for changes, 1 for any error.")
    ] = False,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show what a revision would change, on which nodes, with every diff. Nothing is touched.

    With a server (--server or OPSCTL_SERVER), the revision is compared with what every node was given and says it is.
    Without one, or with --repo or --worktree, Git is compared with Git, and what nodes are is unknown; without --base,
    everything is new.

    Equal changes stand together: `+` is new, `~` is changed, `-` is asked for no more.

    Examples:
      opsctl plan                              the tracked head, live
      opsctl plan --rev mine --out mine.plan   what merging would do, saved
      opsctl plan --worktree --base HEAD       what your edits mean
      opsctl plan --repo . --base origin/main --format markdown

    Exit status:
      0  planned; with --detailed-exitcode: and nothing would change
      1  an error; with --detailed-exitcode: any error, wrong usage included
      2  wrong usage; with --detailed-exitcode: something would change
    """
    from reconciler.cli.plan_groups import has_changes

    local = repo is not None or worktree or server is None
    _check_usage(context, local=local, rev=rev, base=base, worktree=worktree)
    if local:
        from reconciler.wiring.local import plan_from_git

        view = plan_from_git(repo or ".", rev, base, worktree=worktree)
    else:
        with connect(server, ca, key) as client:
            view = cast("PlanView", client.plan(rev, None))
    if out is not None:
        out.write_text(json.dumps(view, indent=1, ensure_ascii=False) + "\n", "utf-8")
    show(view, format_, brief=brief)
    return 2 if detailed_exitcode and has_changes(view) else 0


def show(view: PlanView, format_: PlanFormat = PlanFormat.text, *, brief: bool = False) -> None:
    """Print a plan."""
    from reconciler.cli import plan_markdown, plan_text

    if format_ is PlanFormat.json:
        print_json(view)
    elif format_ is PlanFormat.markdown:
        sys.stdout.write(plan_markdown.render(view))
    else:
        say_lines(plan_text.render(view, width=console().width, brief=brief))


def _check_usage(context: typer.Context, *, local: bool, rev: str | None, base: str | None, worktree: bool) -> None:
    """What contradicts itself is refused; a server that only the environment names gives way."""
    source = context.get_parameter_source("server")
    if local and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter(
            "a server plans what it tracks: leave out --repo and --worktree", param_hint="--server"
        )
    if base is not None and not local:
        raise typer.BadParameter("it compares Git with Git: name a repository with --repo", param_hint="--base")
    if worktree and rev is not None:
        raise typer.BadParameter("the working tree is not a revision: leave out one of them", param_hint="--rev")
