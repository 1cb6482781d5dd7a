"""`opsctl automation`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli import execution_text
from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.document_run import document_asked, parameters
from reconciler.cli.manual import Command, Group
from reconciler.cli.output import Format, FormatOption, print_json, print_table, say

app = typer.Typer(cls=Group, no_args_is_help=True, help="Executions of Automation documents.")

ExecutionArgument = Annotated[
    str, typer.Argument(metavar="ID", help="An execution's id, as `start` and `list` show it.")
]
CommentOption = Annotated[str, typer.Option("--comment", help="Why, for whoever reads it later.", metavar="TEXT")]


class Signal(StrEnum):
    """What `signal` takes, as SSM words it."""

    StartStep = "StartStep"
    StopStep = "StopStep"
    Resume = "Resume"
    Approve = "Approve"
    Reject = "Reject"


@app.command(cls=Command, short_help="Start an execution, and follow it.")
def start(
    document: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A document's file, or its name on the server.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="A parameter's value; again for a list.", metavar="KEY=VALUE"),
    ] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Begin each step only once somebody says StartStep.")
    ] = False,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--targets",
            help="Execute it once for each node: NAME, tag:KEY=VALUE, group:NAME, *; or ParameterValues=A,B.",
            metavar="TARGET",
        ),
    ] = None,
    target_parameter_name: Annotated[
        str, typer.Option(help="The parameter that gets the target.", metavar="NAME")
    ] = "",
    max_concurrency: Annotated[
        str, typer.Option(help="How many targets at once: a number or a percentage.", metavar="N")
    ] = "10",
    max_errors: Annotated[str, typer.Option(help="How many may fail before no other begins.", metavar="N")] = "0",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for what comes of it.")] = False,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Start an execution of an Automation document, and show what its steps come to.

    A name is a document of the repository, as the revision in force has it, or one that is built in; a file is brought
    along. Interrupting this command leaves the execution as it is: end it with `opsctl automation stop`.

    Examples:
      opsctl automation start restart-web -p Role=web
      opsctl automation start fix.yaml -p Node=web-1 --interactive
      opsctl automation start fix --targets "*" --target-parameter-name Node

    Exit status:
      0  it succeeded, or --no-wait was given
      1  it did not, or it was refused
      2  the document or its parameters are wrong
    """
    asked = {
        **document_asked(document),
        "parameters": parameters(parameter or []),
        "mode": "Interactive" if interactive else "Auto",
        "targets": targets or [],
        "targetParameterName": target_parameter_name,
        "maxConcurrency": max_concurrency,
        "maxErrors": max_errors,
    }
    with connect(server, ca, key) as client:
        return execution_text.follow(client, client.start(asked), format_, wait=not no_wait)


@app.command("list", cls=Command, short_help="List the newest executions.")
def list_(
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 50,
    parent: Annotated[str | None, typer.Option(help="Those that this one started.", metavar="ID")] = None,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """List executions, newest first.

    Examples:
      opsctl automation list
      opsctl automation list --parent 01953e5c-0000-7000-8000-000000000001
    """
    with connect(server, ca, key) as client:
        rows = client.executions(limit, parent)
    if format_ is Format.json:
        print_json({"format": "opsctl.executions/v1", "executions": rows})
        return 0
    print_table(
        ("EXECUTION", "DOCUMENT", "STATUS", "BY", "AT", "WHY"),
        [
            (
                row["execution"],
                row["document"],
                (row["status"], execution_text.STYLES.get(row["status"], "")),
                row["subject"],
                row["startedAt"],
                row["reason"],
            )
            for row in rows
        ],
    )
    return 0


@app.command(cls=Command, short_help="Show an execution, step by step.")
def show(
    execution: ExecutionArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it is over.")] = False,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show an execution: what its steps were given and came to, how long they took, and why it went on as it did.

    Examples:
      opsctl automation show 01953e5c-0000-7000-8000-000000000001 --watch
    """
    with connect(server, ca, key) as client:
        found = client.execution(execution)
        if watch:
            return execution_text.follow(client, found, format_, wait=True)
    execution_text.print_execution(found, format_)
    return 0


@app.command(cls=Command, short_help="Approve what an execution waits for.")
def approve(
    execution: ExecutionArgument,
    comment: CommentOption = "",
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Approve what an execution waits for; you have to be among its approvers, by name or by a role that you hold.

    Examples:
      opsctl automation approve 01953e5c-0000-7000-8000-000000000001 --comment ok
    """
    return _say(execution, "Approve", comment, format_, server, ca, key)


@app.command(cls=Command, short_help="Reject what an execution waits for.")
def reject(
    execution: ExecutionArgument,
    comment: CommentOption = "",
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Reject what an execution waits for: the step fails.

    Examples:
      opsctl automation reject 01953e5c-0000-7000-8000-000000000001 --comment no
    """
    return _say(execution, "Reject", comment, format_, server, ca, key)


@app.command(cls=Command, short_help="Let a step begin, or end one.")
def signal(
    execution: ExecutionArgument,
    signal: Annotated[Signal, typer.Argument(metavar="SIGNAL", help="StartStep, StopStep or Resume.")],
    comment: CommentOption = "",
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Send a signal: StartStep lets the next step of an interactive execution begin, StopStep ends the one under way,
    Resume goes on from a pause.

    Examples:
      opsctl automation signal 01953e5c-0000-7000-8000-000000000001 StartStep
    """
    return _say(execution, signal.value, comment, format_, server, ca, key)


@app.command(cls=Command, short_help="Go on from a pause, or from step by step.")
def resume(
    execution: ExecutionArgument,
    comment: CommentOption = "",
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Let an execution that pauses go on. One that is interactive, between two steps, goes on by itself from then on.

    Examples:
      opsctl automation resume 01953e5c-0000-7000-8000-000000000001
    """
    return _say(execution, "Resume", comment, format_, server, ca, key)


@app.command(cls=Command, short_help="End an execution before its time.")
def stop(
    execution: ExecutionArgument,
    comment: CommentOption = "",
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """End an execution: the step under way is ended, and what `onCancel` leads to still runs. Asked a second time,
    nothing more does. What was done stays done.

    Examples:
      opsctl automation stop 01953e5c-0000-7000-8000-000000000001
    """
    with connect(server, ca, key) as client:
        _answered(client.stop(execution, comment), format_)
    return 0


def _say(
    execution: str, signal: str, comment: str, format_: Format, server: str | None, ca: Path | None, key: Path | None
) -> int:
    with connect(server, ca, key) as client:
        _answered(client.signal(execution, signal, comment), format_)
    return 0


def _answered(execution: dict[str, Any], format_: Format) -> None:
    if format_ is Format.json:
        execution_text.print_execution(execution, format_)
    else:
        say(f"{execution['execution']}: ", execution["status"])
