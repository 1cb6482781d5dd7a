"""`opsctl node`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect
from reconciler.cli.output import STYLES, Format, console, print_json, table

app = typer.Typer(no_args_is_help=True, help="The machines: list, look at, retire.")

FormatOption = Annotated[Format, typer.Option("--format", help="How to show it.")]
NameArgument = Annotated[str, typer.Argument(metavar="NODE", help="A node's name or id.")]


@app.command("list")
def list_(
    server: ServerOption = None, ca: CaOption = None, key: KeyOption = None, format_: FormatOption = Format.text
) -> int:
    """Every node that you may read, and those that Git declares and nobody enrolled.

    Example: opsctl node list --format json
    """
    with connect(server, ca, key) as client:
        rows = client.nodes()
    if format_ is Format.json:
        print_json({"format": "opsctl.nodes/v1", "nodes": rows})
        return 0
    shown = table(["NODE", "STATE", "COMPLIANCE", "LABELS", "LAST SEEN"], [])
    for row in rows:
        compliance = row.get("compliance", "UNKNOWN")
        labels = ",".join(f"{key}={value}" for key, value in sorted(row.get("labels", {}).items()))
        shown.add_row(
            row["name"],
            Text(row["state"], STYLES.get(row["state"], "")),
            Text(compliance, STYLES.get(compliance, "")),
            labels,
            row.get("lastSeen") or "never",
        )
    console().print(shown)
    return 0


@app.command()
def show(
    node: NameArgument,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: FormatOption = Format.text,
) -> int:
    """One node: what it was given, what it says of it, its facts (its own word, shown and not trusted).

    Example: opsctl node show web-1
    """
    with connect(server, ca, key) as client:
        found = client.node(node)
    if format_ is Format.json:
        print_json({"format": "opsctl.node/v1", **found})
        return 0
    out = console()
    out.print(Text(f"{found['name']}  {found['id']}", "bold"))
    labels = ", ".join(f"{key}={value}" for key, value in sorted(found["labels"].items()))
    for title, value in (
        ("state", found["state"]),
        ("compliance", found["compliance"]),
        ("labels", labels),
        ("agent", f"{found['agentVersion']} on {found['platform']}"),
        ("last seen", found["lastSeen"] or "never"),
        ("last check", found["checkedAt"] or "not told"),
    ):
        out.print(Text(f"  {title + ':':<12}", "dim").append(value, STYLES.get(value, "not dim")))
    out.print()
    shown = table(["ASSOCIATION", "GENERATION", "STATUS", "COMPLIANCE", "SINCE"], [], numbers=frozenset({"GENERATION"}))
    for row in found["assignments"]:
        compliance = Text(row["compliance"], STYLES.get(row["compliance"], ""))
        shown.add_row(row["uid"], str(row["generation"]), row["status"], compliance, row["since"] or "")
    out.print(shown)
    for row in found["assignments"]:
        for finding in row["findings"]:
            out.print(Text(f"{row['uid']}: {finding['claim']} {finding['outcome']}", "red"))
            _print_finding(out, finding)
    return 0


def _print_finding(out: Any, finding: dict[str, Any]) -> None:
    if finding.get("reason"):
        out.print(f"    {finding['reason']}")
    for line in finding.get("diff", "").splitlines():
        out.print(f"    {line}", style="dim")


@app.command()
def retire(
    node: NameArgument,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Do not ask.")] = False,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: FormatOption = Format.text,
) -> int:
    """Empty a node for good: it lets go of every association and its key is worth nothing from then on.

    Example: opsctl node retire web-1 --auto-approve
    """
    if not auto_approve and not typer.confirm(f"Retire {node}?"):
        raise typer.Abort
    with connect(server, ca, key) as client:
        found = client.retire(node)
    if format_ is Format.json:
        print_json({"format": "opsctl.node/v1", **found})
    else:
        console().print(f"{found['name']} ({found['id']}) is retired")
    return 0
