"""`opsctl apply`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.output import Format, PlanFormat, console, print_json
from reconciler.cli.plan import show
from reconciler.cli.plan_groups import counted, has_changes
from reconciler.core.problem import Finding, Invalid, Place, Refused

if TYPE_CHECKING:
    from reconciler.api.client import Client
    from reconciler.engine.preview import PlanView

POLL_SECONDS = 0.2


def apply(
    planfile: Annotated[
        Path | None, typer.Argument(metavar="[PLANFILE]", help="A plan saved with `opsctl plan --out`.")
    ] = None,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Do not ask.")] = False,
    allow_removals: Annotated[
        int, typer.Option(help="Let up to this many nodes lose an association in this apply.", metavar="N", min=0)
    ] = 0,
    rev: Annotated[str | None, typer.Option(help="A revision of the tracked branch; the head where left out.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to show the outcome.")] = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Bring the tracked branch into force now, and wait until every node that is online has answered.

    Shows the plan and asks first; what is then done is what was shown, or nothing. A saved plan is applied only where
    nothing has to be done that it does not name. Exits 1 when any node failed.

    Examples:
      opsctl apply
      opsctl plan --out change.plan && opsctl apply change.plan
      opsctl apply --auto-approve --allow-removals 3
    """
    with connect(server, ca, key) as client:
        saved = _read(planfile) if planfile is not None else dict(client.plan(rev, None))
        view = cast("PlanView", saved)
        if format_ is Format.text:
            show(view, PlanFormat.text)
        if not has_changes(view) and not view["waiting"]:
            if format_ is Format.json:
                print_json({"format": "opsctl.apply/v1", "finished": True, "total": 0, "failed": 0})
            return 0
        if not auto_approve:
            _ask()
        started = client.apply(rev, saved, allow_removals)
        final = _follow(client, started, quiet=format_ is Format.json)
    if format_ is Format.json:
        print_json({"format": "opsctl.apply/v1", **final})
    else:
        _conclude(final)
    return 1 if final["failed"] or final["held"] else 0


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except OSError as error:
        raise Refused(
            f"{path} cannot be read: {error.strerror}", remedy="name a file saved by opsctl plan --out"
        ) from None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Invalid((Finding("this is not a saved plan", Place(str(path)), expected="a file saved by plan --out"),))
    return value


def _ask() -> None:
    if not sys.stdin.isatty():
        raise Refused("nobody is there to ask", remedy="say --auto-approve if this is meant")
    if not typer.confirm("Apply this?"):
        raise typer.Abort


def _follow(client: Client, progress: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Ask for progress until it is finished, with a bar where somebody looks."""
    bar = Progress(
        TextColumn("applying"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console(error=True),
        disable=quiet or not sys.stderr.isatty(),
        transient=True,
    )
    with bar:
        task = bar.add_task("apply", total=progress["total"], note="")
        while not progress["finished"]:
            bar.update(task, completed=progress["done"] + progress["failed"], note=_note(progress))
            time.sleep(POLL_SECONDS)
            progress = client.apply_status(progress["apply"])
        bar.update(task, completed=progress["done"] + progress["failed"], note=_note(progress))
    return progress


def _note(progress: dict[str, Any]) -> str:
    words = [f"{progress[key]} {key}" for key in ("running", "waiting", "failed", "offline") if progress[key]]
    return ", ".join(words)


def _conclude(final: dict[str, Any]) -> None:
    out = console()
    for row in final["associations"]:
        bad = row["failed"]
        text = f"{row['uid']}: {row['done']} of {row['total']} done"
        for key in ("failed", "drifted", "offline", "held"):
            if row[key]:
                text += f", {row[key]} {key}"
        if row["failedNodes"]:
            text += f" ({', '.join(row['failedNodes'])})"
        out.print(text, style="red" if bad else "green")
    if final["removals"]:
        out.print(f"{counted(final['removals'], 'removal')} made")
    for line in final["dropped"]:
        out.print(f"no longer needed: {line}", style="dim")
    for wait in final["waits"]:
        out.print(f"{counted(wait['nodes'], 'node')} wait with {wait['uid']}: {wait['reason']}", style="cyan")
    if final["superseded"]:
        out.print("a newer commit came into force meanwhile; what it asks for goes on", style="yellow")
    verdict = f"Apply: {final['done']} done, {final['failed']} failed, {final['offline']} offline."
    out.print(verdict, style="bold red" if final["failed"] or final["held"] else "bold green")
