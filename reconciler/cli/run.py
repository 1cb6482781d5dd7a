"""`opsctl run`: a command or a document on chosen nodes, now; and what became of earlier ones."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli.command_view import STYLES, conclude, followed, say_failures, say_verdict
from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.document_run import (
    CheckOption,
    ConcurrencyOption,
    ErrorsOption,
    NoWaitOption,
    TimeoutOption,
    parameters,
)
from reconciler.cli.manual import Command, GroupWithDefault
from reconciler.cli.output import Format, FormatOption, counted, print_json, print_table, say
from reconciler.cli.run_board import watched
from reconciler.cli.run_groups import show_groups

SHELL = "AWS-RunShellScript"
CommandArgument = Annotated[str, typer.Argument(metavar="ID", help="A command's id, as `run` and `list` show it.")]

app = typer.Typer(
    cls=GroupWithDefault,
    no_args_is_help=True,
    help="""Run a command on nodes, once, now.

    `opsctl run -t TARGET -- COMMAND` is short for `opsctl run start -t TARGET -- COMMAND`; see `opsctl run start -h`.

    Examples:
      opsctl run -t tag:Env=prod -- systemctl restart nginx
      opsctl run -t web-1,web-2 --document restart-web -p unit=nginx
      opsctl run list
    """,
)


@app.command(cls=Command, short_help="Run a command or a document on nodes.")
def start(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND...", help="What a shell is to run there.")
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "-t",
            "--targets",
            help="NAME,NAME, tag:KEY=VALUE, group:NAME or *; a node has to match each that is given.",
            metavar="TARGET",
        ),
    ] = None,
    document: Annotated[
        str, typer.Option("--document", help="The document to run, with -p, in place of a command.", metavar="NAME")
    ] = SHELL,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="A parameter's value; again, or as JSON, for a list.", metavar="K=V"),
    ] = None,
    max_concurrency: ConcurrencyOption = "50",
    max_errors: ErrorsOption = "0",
    timeout: TimeoutOption = 3600,
    comment: Annotated[str, typer.Option(help="Why: it is kept with the command, and in the audit trail.")] = "",
    check: CheckOption = False,
    lines: Annotated[bool, typer.Option("--lines", help="Show every line as it is said, after its node.")] = False,
    save: Annotated[
        Path | None,
        typer.Option("--save", help="Write what was run as an association, to be committed.", metavar="FILE"),
    ] = None,
    no_wait: NoWaitOption = False,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Run a command, or a document, on chosen nodes, once, now.

    Words after -- are one command with its arguments; one word is a line for the shell. Nodes that are offline take it
    when they are back, within --timeout; once more than --max-errors nodes failed, no other begins. While it goes on, a
    table shows how far it is; at the end, nodes that said the same are shown together.

    Interrupting this command ends nothing on the nodes: `opsctl run cancel` does. With --save what was run becomes an
    association of a config repository, so that nodes which come later get it too.

    Examples:
      opsctl run -t tag:Env=prod -- systemctl restart nginx
      opsctl run -t group:web --max-concurrency 10% --comment INC-42 -- df -h /
      opsctl run -t web-1,web-2 --document restart-web -p unit=nginx
      opsctl run -t db-1 --save associations/tuned.yaml -- sysctl -w vm.swappiness=1

    Exit status:
      0  it succeeded on every node
      1  it did not, or it was refused
      2  the document or its parameters are wrong
    """
    if not targets:
        raise typer.BadParameter("say where", param_hint="--targets")
    given = parameters(parameter or [])
    if command and (document != SHELL or "commands" in given):
        raise typer.BadParameter("a command after -- and --document with -p exclude each other", param_hint="--")
    if command:
        given["commands"] = [command[0] if len(command) == 1 else shlex.join(command)]
    if document == SHELL and not given.get("commands"):
        raise typer.BadParameter("say what to run, after --", param_hint="--")
    asked = {
        "document": document,
        "parameters": given,
        "targets": targets,
        "maxConcurrency": max_concurrency,
        "maxErrors": max_errors,
        "timeoutSeconds": timeout,
        "check": check,
        "comment": comment,
    }
    if save is not None:
        from reconciler.cli.run_saved import refuse_existing, write

        refuse_existing(save)
    with connect(server, ca, key) as client:
        progress = client.run(asked)
        if save is not None:
            write(save, asked)
        return _to_its_end(client, progress, lines=lines, wait=not no_wait, quiet=format_ is Format.json)


@app.command("list", cls=Command, short_help="List the newest commands.")
def list_(
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 50,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """List commands, newest first.

    Examples:
      opsctl run list
      opsctl run list --format json
    """
    with connect(server, ca, key) as client:
        rows = client.commands(limit)
    if format_ is Format.json:
        print_json({"format": "opsctl.commands/v1", "commands": rows})
        return 0
    print_table(
        ("COMMAND", "DOCUMENT", "STATUS", "NODES", "BY", "AT", "TARGETS", "WHY"),
        [
            (
                row["command"],
                row["document"],
                (row["statusDetails"], STYLES.get(row["status"], "")),
                str(row["targetCount"]),
                row["subject"],
                row["requestedAt"],
                row["targets"],
                row["comment"],
            )
            for row in rows
        ],
    )
    return 0


@app.command(cls=Command, short_help="Show what a command came to.")
def show(
    command: CommandArgument,
    node: Annotated[str | None, typer.Option("--node", help="Of this node only.", metavar="NAME")] = None,
    full: Annotated[bool, typer.Option("--full", help="All that was said, from the output store.")] = False,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show a command: what it came to on each node, and in each step.

    Examples:
      opsctl run show 01953e5c-0000-7000-8000-000000000001
      opsctl run show 01953e5c-0000-7000-8000-000000000001 --node web-1 --full
    """
    with connect(server, ca, key) as client:
        progress = client.command(command)
        if node is not None:
            progress = {**progress, "invocations": [one for one in progress["invocations"] if one["node"] == node]}
        if format_ is Format.json:
            print_json({"format": "opsctl.command/v1", **progress})
        elif full:
            from reconciler.cli.saying import whole

            whole(client, progress)
        else:
            conclude(progress)
    return 0


@app.command(cls=Command, short_help="Show what a command's nodes say, as they say it.")
def follow(
    command: CommandArgument,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show all that the nodes of a command said and say, line by line, until it is over.

    Examples:
      opsctl run follow 01953e5c-0000-7000-8000-000000000001
    """
    with connect(server, ca, key) as client:
        progress = followed(client, command, quiet=False)
    conclude(progress)
    return 0 if progress["status"] == "Success" else 1


@app.command(cls=Command, short_help="Run a command again where it did not succeed.")
def retry(
    command: CommandArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Where it failed.")] = False,
    skipped: Annotated[bool, typer.Option("--skipped", help="Where it was kept from beginning.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="On nodes that did not come in time.")] = False,
    no_wait: NoWaitOption = False,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Run exactly what a command ran once more, on those of its nodes where it did not succeed.

    Without an option, on all of them. It is a command of its own, with the limits of the first.

    Examples:
      opsctl run retry 01953e5c-0000-7000-8000-000000000001
      opsctl run retry 01953e5c-0000-7000-8000-000000000001 --offline
    """
    named = {"failed": failed, "skipped": skipped, "offline": offline}
    which = [word for word, wanted in named.items() if wanted] or list(named)
    with connect(server, ca, key) as client:
        progress = client.retry(command, which)
        return _to_its_end(client, progress, lines=False, wait=not no_wait, quiet=format_ is Format.json)


@app.command(cls=Command, short_help="End a command before its time.")
def cancel(
    command: CommandArgument,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Ask for the end of a command. Nodes that have not begun never do; scripts that run are ended; what was done stays
    done.

    Examples:
      opsctl run cancel 01953e5c-0000-7000-8000-000000000001
    """
    with connect(server, ca, key) as client:
        progress = client.cancel(command)
    if format_ is Format.json:
        print_json({"format": "opsctl.command/v1", **progress})
    else:
        say(f"{progress['command']}: {progress['statusDetails']}")
    return 0


def _to_its_end(client: Any, progress: dict[str, Any], *, lines: bool, wait: bool, quiet: bool) -> int:
    """Follow a command that has just begun; the exit code."""
    if not quiet:
        say(("command ", "dim"), progress["command"], f" on {counted(progress['targetCount'], 'node')}", error=True)
    if wait and quiet:
        progress = followed(client, progress["command"], quiet=True)
    elif wait and (lines or progress["targetCount"] == 1):
        progress = followed(client, progress["command"], quiet=False)
    elif wait:
        progress = watched(client.command_events(progress["command"]))
    if quiet:
        print_json({"format": "opsctl.command/v1", **progress})
    elif wait and not lines and progress["targetCount"] > 1:
        show_groups(progress)
    elif wait:
        say_failures(progress)
    if not quiet:
        _say_the_others(progress)
        say_verdict(progress)
    return 0 if not wait or progress["status"] == "Success" else 1


def _say_the_others(progress: dict[str, Any]) -> None:
    """How to go on where it did not succeed everywhere."""
    if progress["finished"] and progress["status"] != "Success":
        say((f"again where it did not succeed: opsctl run retry {progress['command']}", "dim"), error=True)
