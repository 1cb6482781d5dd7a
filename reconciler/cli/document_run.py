"""`opsctl document run`, and `opsctl command`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.execution_text import follow
from reconciler.cli.manual import Command, Group
from reconciler.cli.output import Format, FormatOption, counted, print_json, print_table, say
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.api.client import Client

app = typer.Typer(cls=Group, no_args_is_help=True, help="Commands: documents run on nodes, once.")

STYLES = {
    "Success": "green",
    "Failed": "red",
    "TimedOut": "red",
    "Cancelled": "yellow",
    "Cancelling": "yellow",
    "Skipped": "dim",
}
CommandArgument = Annotated[str, typer.Argument(metavar="ID", help="A command's id, as `run` and `list` show it.")]


def run(
    document: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A document's file, or its name.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", help="A parameter's value; again for a list.", metavar="KEY=VALUE"),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--targets",
            help="NAME, tag:KEY=VALUE, group:NAME or *; a node has to match each that is given.",
            metavar="TARGET",
        ),
    ] = None,
    max_concurrency: Annotated[
        str, typer.Option(help="How many nodes at once: a number or a percentage.", metavar="N")
    ] = "50",
    max_errors: Annotated[str, typer.Option(help="How many nodes may fail before no other begins.", metavar="N")] = "0",
    timeout: Annotated[
        int, typer.Option(help="Seconds in which a node has to take it.", metavar="SECONDS", min=30)
    ] = 3600,
    check: Annotated[bool, typer.Option("--check", help="Say what would be done; do nothing.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Run it on this machine, without a server.")] = False,
    repo: Annotated[
        Path | None,
        typer.Option("--repo", help="With --local: the repository whose files it names.", metavar="DIR"),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for what comes of it.")] = False,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Run a Command document once, now, on chosen nodes, and show what they say as they say it.

    A name is a document of the repository, as the revision in force has it, or one that is built in, as `opsctl
    document list` shows them; a file is brought along. Nodes that are
    offline take it when they are back, within --timeout. Once more than --max-errors nodes failed, no other begins.
    An Automation document starts an execution instead, as `opsctl automation start` does; it takes no targets here.
    With --check every node says what it would do. With --local the document runs here, as you, in a process of its own.

    Interrupting this command ends a --local run; on nodes the document goes on: end it with `opsctl command cancel`.

    Examples:
      opsctl document run restart-web --targets tag:Role=web --max-concurrency 10%
      opsctl document run fix.yaml -p commands='uptime' --targets db-1 --check
      opsctl document run fix.yaml -p commands='uptime' --local

    Exit status:
      0  it succeeded on every node
      1  it did not, or it was refused
      2  the document or its parameters are wrong
    """
    if local and targets:
        raise typer.BadParameter("say where: --local, or --targets", param_hint="--targets")
    given = parameters(parameter or [])
    quiet = format_ is Format.json
    if local:
        return _run_here(document, given, repo, check=check, quiet=quiet)
    asked = {
        **document_asked(document),
        "parameters": given,
        "targets": targets or [],
        "maxConcurrency": max_concurrency,
        "maxErrors": max_errors,
        "timeoutSeconds": timeout,
        "check": check,
    }
    with connect(server, ca, key) as client:
        progress = client.run(asked)
        if "execution" in progress:
            return follow(client, progress, format_, wait=not no_wait)
        if not quiet:
            say(("command ", "dim"), progress["command"], f" on {counted(progress['targetCount'], 'node')}", error=True)
        if not no_wait:
            progress = _followed(client, progress["command"], quiet=quiet)
    if quiet:
        print_json({"format": "opsctl.command/v1", **progress})
    else:
        _conclude(progress)
    return 0 if no_wait or progress["status"] == "Success" else 1


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
      opsctl command list
      opsctl command list --format json
    """
    with connect(server, ca, key) as client:
        rows = client.commands(limit)
    if format_ is Format.json:
        print_json({"format": "opsctl.commands/v1", "commands": rows})
        return 0
    print_table(
        ("COMMAND", "DOCUMENT", "STATUS", "NODES", "BY", "AT", "TARGETS"),
        [
            (
                row["command"],
                row["document"],
                (row["statusDetails"], STYLES.get(row["status"], "")),
                str(row["targetCount"]),
                row["subject"],
                row["requestedAt"],
                row["targets"],
            )
            for row in rows
        ],
    )
    return 0


@app.command(cls=Command, short_help="Show what a command came to.")
def show(
    command: CommandArgument,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Show a command: what it came to on each node, and in each step.

    Examples:
      opsctl command show 01953e5c-0000-7000-8000-000000000001
    """
    with connect(server, ca, key) as client:
        progress = client.command(command)
    if format_ is Format.json:
        print_json({"format": "opsctl.command/v1", **progress})
    else:
        _conclude(progress)
    return 0


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
      opsctl command cancel 01953e5c-0000-7000-8000-000000000001
    """
    with connect(server, ca, key) as client:
        progress = client.cancel(command)
    if format_ is Format.json:
        print_json({"format": "opsctl.command/v1", **progress})
    else:
        say(f"{progress['command']}: {progress['statusDetails']}")
    return 0


def document_asked(document: str) -> dict[str, str]:
    """A document's file to bring along, or its name."""
    path = Path(document)
    return {"content": _read(path), "path": str(path)} if path.is_file() else {"document": document}


def parameters(given: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="-p")
        found.setdefault(name, []).append(value)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}", "document") from None


def _run_here(document: str, given: dict[str, list[str]], repo: Path | None, *, check: bool, quiet: bool) -> int:
    from reconciler.wiring.library import one
    from reconciler.wiring.local_run import run as run_here

    found = one(document, repo or Path())
    shown = _Shown()
    report = run_here(
        found.data,
        found.path,
        given,
        repo,
        lambda step, stream, data: None if quiet else shown.say("", step, stream, data),
        check=check,
    )
    shown.finish()
    if quiet:
        print_json({"format": "opsctl.run/v1", "status": report["status"], "steps": report.get("steps", [])})
    else:
        _show_steps([("here", step) for step in report.get("steps", [])])
        say((f"{report['status']}{_because(report.get('reason'))}", STYLES.get(report["status"], "")))
    return 0 if report["status"] == "Success" else 1


def _followed(client: Client, command_id: str, *, quiet: bool) -> dict[str, Any]:
    """The last progress; what steps say is shown as it comes."""
    shown = _Shown()
    progress: dict[str, Any] = {}
    for progress in client.command_events(command_id):  # the last one is the answer
        if not quiet:
            _show_news(client, progress, shown)
    if not quiet:
        _show_rest(client, progress, shown)
        shown.finish()
    return progress


def _show_news(client: Client, progress: dict[str, Any], shown: _Shown) -> None:
    for one in progress["invocations"]:
        for output in one["outputs"]:
            step, stream = output["step"], output["stream"]
            at = shown.at(one["node"], step, stream)
            while at < output["bytes"]:
                data = client.output(progress["command"], one["job"], step, stream, at)
                if not data:
                    break
                shown.say(one["node"], step, stream, data)
                at += len(data)


REST_SECONDS = 10.0
"""For what was said at last to arrive: a report may come before it."""


def _show_rest(client: Client, progress: dict[str, Any], shown: _Shown) -> None:
    import time

    deadline = time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline:
        _show_news(client, progress, shown)
        if not any(
            shown.at(one["node"], step["name"], stream) < min(size, LIMIT)
            for one in progress["invocations"]
            for step in one["steps"]
            for stream, size in step.get("sizes", {}).items()
        ):
            return
        time.sleep(0.2)
        progress = client.command(progress["command"])


LIMIT = 16 * 1024 * 1024
"""Bytes that the server keeps of each output."""


class _Shown:
    """What was shown so far: whole lines, each after the name of its node where there are several."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str, str], int] = {}
        self._rest: dict[tuple[str, str, str], bytes] = {}

    def at(self, node: str, step: str, stream: str) -> int:
        """Bytes of an output that were taken in."""
        return self._at.get((node, step, stream), 0)

    def say(self, node: str, step: str, stream: str, data: bytes) -> None:
        """Take in more of an output, and show the lines that are whole."""
        key = (node, step, stream)
        self._at[key] = self.at(*key) + len(data)
        *lines, self._rest[key] = (self._rest.get(key, b"") + data).split(b"\n")
        for line in lines:
            self._line(key, line)

    def finish(self) -> None:
        """Show what no line end followed."""
        for key, line in self._rest.items():
            if line:
                self._line(key, line)
        self._rest.clear()

    def _line(self, key: tuple[str, str, str], line: bytes) -> None:
        node, _, stream = key
        text = line.decode("utf-8", "replace")
        style = "red" if stream == "stderr" else ""
        say(*([(f"{node}: ", "cyan")] if node else []), (text, style))
        sys.stdout.flush()


def _conclude(progress: dict[str, Any]) -> None:
    _show_steps([(one["node"], step) for one in progress["invocations"] for step in one["steps"]])
    others = [one for one in progress["invocations"] if not one["steps"]]
    for one in others:
        say(one["node"], ": ", (one["statusDetails"], STYLES.get(one["status"], "")), _because(one["reason"]))
    verdict = f"{progress['statusDetails']}: {progress['completedCount']} of {progress['targetCount']} done"
    verdict += f", {progress['errorCount']} failed" if progress["errorCount"] else ""
    say((verdict, f"bold {STYLES.get(progress['status'], '')}".strip()))


def _show_steps(rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    listed = list(rows)
    if not listed:
        return
    print_table(
        ("NODE", "STEP", "ACTION", "STATUS", "CODE", "WHY"),
        [
            (
                node,
                step["name"],
                step["action"],
                (step["status"], STYLES.get(step["status"], "")),
                str(step.get("rc", 0)),
                step.get("reason", "") or _changes(step),
            )
            for node, step in listed
        ],
        numbers=frozenset({"CODE"}),
    )


def _changes(step: dict[str, Any]) -> str:
    """What a step that holds something did, or would do, in one line."""
    return "" if step.get("sizes") else str(step.get("output", "")).split("\n")[0]


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""
