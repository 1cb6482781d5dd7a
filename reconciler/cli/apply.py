"""`opsctl apply`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.output import Format, FormatOption, counted, print_json, say, waiting
from reconciler.cli.progress import followed
from reconciler.core.problem import Finding, Invalid, Place, Refused

if TYPE_CHECKING:
    from reconciler.api.client import Client
    from reconciler.engine.views import PlanView


def apply(
    planfile: Annotated[
        Path | None,
        typer.Argument(metavar="PLANFILE", help="A plan saved with `opsctl plan --out`.", show_default=False),
    ] = None,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Do not ask.")] = False,
    allow_removals: Annotated[
        int, typer.Option(help="Let up to this many nodes lose an association in this apply.", metavar="N", min=0)
    ] = 0,
    rev: Annotated[
        str | None, typer.Option(help="A revision of the tracked branch; the head where left out.", metavar="REV")
    ] = None,
    format_: FormatOption = Format.text,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
) -> int:
    """Bring the tracked branch into force now, and wait until every node that is online has answered.

    Shows the plan and asks; what is then done is what was shown, or nothing. A saved plan was agreed to when it was
    saved: it is neither shown again nor asked about, and is applied only where nothing has to be done that it does not
    name. Changes go out in waves, as maxConcurrency and maxErrors of each association say. Nodes that are offline get
    theirs when they are back; nobody waits for them.

    Examples:
      opsctl apply
      opsctl apply --auto-approve --allow-removals 3
      opsctl plan --out my.plan && opsctl apply my.plan

    Exit status:
      0  in force, and every node that is online has made it so
      1  a node failed or a wave was held, or it was refused or stopped
      2  PLANFILE is not a saved plan, or wrong usage
    """
    if planfile is not None and rev is not None:
        raise typer.BadParameter("a saved plan names its own revision", param_hint="--rev")
    quiet = format_ is Format.json
    if quiet and planfile is None and not auto_approve:
        raise typer.BadParameter("nobody can agree to what is not shown: add --auto-approve", param_hint="--format")
    with connect(server, ca, key) as client:
        view = _saved(planfile) if planfile is not None else cast("PlanView", client.plan(rev, None))
        if not quiet:
            _introduce(view, again=planfile is not None, brief=auto_approve)
        if planfile is None and not auto_approve and not _is_in_force(view):
            _ask()
        final = _applied(client, rev, view, allow_removals)
    if quiet:
        print_json({"format": "opsctl.apply/v1", **final})
    else:
        _conclude(final)
    return 1 if final["failed"] or final["held"] else 0


def _saved(path: Path) -> PlanView:
    from pydantic import TypeAdapter, ValidationError

    from reconciler.engine.views import PlanView

    try:
        view = TypeAdapter(PlanView).validate_json(path.read_bytes())
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", remedy="name a file saved by plan --out") from None
    except ValidationError:
        finding = Finding("this is not a saved plan", Place(str(path)), expected="a file saved by opsctl plan --out")
        raise Invalid((finding,)) from None
    if not view["live"]:
        remedy = "save one with a server: opsctl plan --server URL --out FILE"
        raise Refused(f"{path} compares Git with Git, and says nothing of what nodes hold", remedy=remedy)
    return view


def _introduce(view: PlanView, *, again: bool, brief: bool) -> None:
    from reconciler.cli.plan import show
    from reconciler.cli.plan_groups import headline

    if again:
        say((headline(view), "bold"))
    else:
        show(view, brief=brief)


def _is_in_force(view: PlanView) -> bool:
    """Nothing is left to agree to, for nodes or for settings; at most to wait for what is on its way."""
    return not view["changes"] and not view["waiting"] and view["commit"] == view["base"]


def _ask() -> None:
    if not sys.stdin.isatty():
        raise Refused("nobody is there to ask", remedy="say --auto-approve if this is meant")
    if not typer.confirm("Apply this?"):
        raise typer.Abort


def _applied(client: Client, rev: str | None, view: PlanView, allow_removals: int) -> dict[str, Any]:
    started = client.apply(rev, cast("dict[str, Any]", view), allow_removals)
    return started if started["finished"] else followed(client.apply_events(started["apply"]))


def _conclude(final: dict[str, Any]) -> None:
    for row in final["associations"]:
        text = f"{row['uid']}: {row['done']} of {row['total']} done"
        text += "".join(f", {row[word]} {word}" for word in ("failed", "drifted", "offline", "held") if row[word])
        text += f" ({', '.join(row['failedNodes'])})" if row["failedNodes"] else ""
        say((text, "red" if row["failed"] or row["held"] else "green"))
    if final["removals"]:
        say(f"{counted(final['removals'], 'removal')} made")
    for dropped in final["dropped"]:
        say((f"no longer needed: {dropped}", "dim"))
    for wait in final["waits"]:
        say((waiting(wait["uid"], wait["nodes"], wait["reason"]), "cyan"))
    if final["unreached"]:
        say((f"{counted(final['unreached'], 'node')} not reached over SSH: see opsctl node list", "yellow"))
    if final["superseded"]:
        say(("a newer commit came into force meanwhile; what it asks for goes on", "yellow"))
    bad = final["failed"] or final["held"]
    verdict = f"Apply: {final['done']} done, {final['failed']} failed, {final['offline']} offline"
    verdict += f", {final['held']} held" if final["held"] else ""
    say((f"{verdict}; commit {final['commit'][:12]}.", "bold red" if bad else "bold green"))
