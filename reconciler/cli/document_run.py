"""`opsctl document run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from reconciler.cli.command_view import STYLES, because, conclude, followed, show_steps
from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.execution_text import follow, show
from reconciler.cli.output import Format, FormatOption, counted, print_json, say
from reconciler.cli.saying import Saying
from reconciler.core.problem import Refused

ConcurrencyOption = Annotated[str, typer.Option(help="How many nodes at once: a number or a percentage.", metavar="N")]
ErrorsOption = Annotated[str, typer.Option(help="How many nodes may fail before no other begins.", metavar="N")]
TimeoutOption = Annotated[int, typer.Option(help="Seconds in which a node has to take it.", metavar="SECONDS", min=30)]
CheckOption = Annotated[bool, typer.Option("--check", help="Say what would be done; do nothing.")]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Do not wait for what comes of it.")]


def run(
    document: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A document's file, or its name.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p", "--parameter", help="A parameter's value; again, or as JSON, for a list.", metavar="KEY=VALUE"
        ),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--targets",
            help="NAME,NAME, tag:KEY=VALUE, group:NAME or *; a node has to match each that is given.",
            metavar="TARGET",
        ),
    ] = None,
    max_concurrency: ConcurrencyOption = "50",
    max_errors: ErrorsOption = "0",
    timeout: TimeoutOption = 3600,
    check: CheckOption = False,
    local: Annotated[bool, typer.Option("--local", help="Run it on this machine, without a server.")] = False,
    repo: Annotated[
        Path | None,
        typer.Option("--repo", help="With --local: the repository whose files it names.", metavar="DIR"),
    ] = None,
    no_wait: NoWaitOption = False,
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
    With --check every node says what it would do. With --local the document runs here, as you, in a process of its own;
    of an Automation document that is what needs neither nodes nor people: its logic and its scripts.

    Interrupting this command ends a --local run; on nodes the document goes on: end it with `opsctl run cancel`.

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
            progress = followed(client, progress["command"], quiet=quiet)
    if quiet:
        print_json({"format": "opsctl.command/v1", **progress})
    else:
        conclude(progress)
    return 0 if no_wait or progress["status"] == "Success" else 1


def document_asked(document: str) -> dict[str, str]:
    """A document's file to bring along, or its name."""
    path = Path(document)
    return {"content": _read(path), "path": str(path)} if path.is_file() else {"document": document}


def parameters(given: list[str]) -> dict[str, list[str]]:
    """What `-p KEY=VALUE` comes to; a JSON list of texts gives several values, as in AWS' command line."""
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="-p")
        found.setdefault(name, []).extend(_listed(value))
    return found


def _listed(value: str) -> list[str]:
    if value.startswith("["):
        try:
            several = json.loads(value)
        except ValueError:
            return [value]
        if isinstance(several, list) and all(isinstance(one, str) for one in several):
            return several
    return [value]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}", "document") from None


def _run_here(document: str, given: dict[str, list[str]], repo: Path | None, *, check: bool, quiet: bool) -> int:
    from reconciler.wiring.library import one
    from reconciler.wiring.local_run import run as run_here
    from reconciler.wiring.local_runbook import run as run_runbook

    found = one(document, repo or Path())
    shown = Saying()

    def hear(step: str, stream: str, data: bytes) -> None:
        if not quiet:
            shown.say("", step, stream, data)

    execution = None if check else run_runbook(found.data, found.path, given, repo, hear)
    if execution is not None:
        shown.finish()
        return _concluded(execution, quiet=quiet)
    report = run_here(
        found.data,
        found.path,
        given,
        repo,
        hear,
        check=check,
    )
    shown.finish()
    if quiet:
        print_json({"format": "opsctl.run/v1", "status": report["status"], "steps": report.get("steps", [])})
    else:
        show_steps([("here", step) for step in report.get("steps", [])])
        say((f"{report['status']}{because(report.get('reason'))}", STYLES.get(report["status"], "")))
    return 0 if report["status"] == "Success" else 1


def _concluded(execution: dict[str, Any], *, quiet: bool) -> int:
    if quiet:
        print_json({"format": "opsctl.execution/v1", **execution})
    else:
        show(execution)
    return 0 if execution["status"] == "Success" else 1
