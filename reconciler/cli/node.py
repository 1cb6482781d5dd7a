"""`opsctl node`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.cli.connection import CaOption, KeyOption, ServerOption, connect, node_names
from reconciler.cli.manual import Command, Group
from reconciler.cli.output import STYLES, Format, FormatOption, line, print_json, print_table, say, say_lines
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

app = typer.Typer(cls=Group, no_args_is_help=True, help="The machines of the fleet.")

NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="A node's name or id.", autocompletion=node_names)]


@app.command("list", cls=Command, short_help="List nodes.")
def list_(
    server: ServerOption = None, ca: CaOption = None, key: KeyOption = None, format_: FormatOption = Format.text
) -> int:
    """List every node that you may read, and those that Git declares and nobody enrolled.

    Examples:
      opsctl node list
      opsctl node list --format json | jq '.nodes[] | select(.failing)'
    """
    with connect(server, ca, key) as client:
        rows = client.nodes()
    if format_ is Format.json:
        print_json({"format": "opsctl.nodes/v1", "nodes": rows})
    else:
        for frozen in sorted({row["frozen"] for row in rows if row.get("frozen")}):
            say((frozen, "cyan"))
        print_table(("NODE", "STATE", "COMPLIANCE", "LABELS", "LAST SEEN"), (_cells(row) for row in rows))
    return 0


@app.command(cls=Command, short_help="Show one node.")
def show(
    node: NodeArgument,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: FormatOption = Format.text,
) -> int:
    """Show one node: what it was given, what came of it, what is not as it should be and how it differs.

    With --format json its facts too: the node's own word, shown and never trusted.

    Examples:
      opsctl node show web-1
    """
    with connect(server, ca, key) as client:
        found = client.node(node)
    if format_ is Format.json:
        print_json({"format": "opsctl.node/v1", **found})
        return 0
    say_lines(_about(found))
    print_table(
        ("ASSOCIATION", "GENERATION", "STATUS", "COMPLIANCE", "SINCE"),
        (_given(row) for row in found["assignments"]),
        numbers=frozenset({"GENERATION"}),
    )
    for row in found["assignments"]:
        for finding in row["findings"]:
            say_lines(finding_lines(row["uid"], finding))
    return 0


@app.command(cls=Command, short_help="Empty a node for good.")
def retire(
    node: NodeArgument,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Do not ask.")] = False,
    server: ServerOption = None,
    ca: CaOption = None,
    key: KeyOption = None,
    format_: FormatOption = Format.text,
) -> int:
    """Empty a node for good: it lets go of every association, and its key is worth nothing from then on.

    Its Node file stays in Git until you remove it; the name may be enrolled again.

    Examples:
      opsctl node retire web-1
      opsctl node retire web-1 --auto-approve
    """
    if not auto_approve:
        if not sys.stdin.isatty():
            raise Refused("nobody is there to ask", remedy="say --auto-approve if this is meant")
        if not typer.confirm(f"Retire {node}?"):
            raise typer.Abort
    with connect(server, ca, key) as client:
        found = client.retire(node)
    if format_ is Format.json:
        print_json({"format": "opsctl.retired/v1", **found})
    else:
        say(f"{found['name']} ({found['id']}) is retired")
    return 0


def _cells(row: dict[str, Any]) -> list[str | tuple[str, str]]:
    compliance = row.get("compliance", "UNKNOWN")
    return [
        row["name"],
        (row["state"], STYLES.get(row["state"], "")),
        (compliance, STYLES.get(compliance, "")),
        _labels(row),
        row.get("lastSeen") or "never",
    ]


def _given(row: dict[str, Any]) -> list[str | tuple[str, str]]:
    return [
        row["uid"],
        str(row["generation"]),
        (row["status"], STYLES.get(row["status"], "")),
        (row["compliance"], STYLES.get(row["compliance"], "")),
        row["since"] or "",
    ]


def _about(found: dict[str, Any]) -> Iterator[Text]:
    yield line((found["name"], "bold"), f"  {found['id']}")
    for title, value in (
        ("state", found["state"]),
        ("compliance", found["compliance"]),
        ("labels", _labels(found)),
        ("agent", f"{found['agentVersion']} on {found['platform']}"),
        ("last seen", found["lastSeen"] or "never"),
        ("last check", found["checkedAt"] or "not told"),
    ):
        yield line((f"  {title:<12}", "dim"), (value, STYLES.get(value, "")))
    if found["frozen"]:
        yield line((f"  {found['frozen']}", "cyan"))
    if found["reason"]:
        yield line((f"  {found['reason']}", "red"))
    yield line()


def finding_lines(uid: str, finding: dict[str, Any]) -> Iterator[Text]:
    outcome = finding["outcome"]
    yield line(f"{uid}: ", (finding["claim"], "bold"), (f" {outcome}", STYLES.get(outcome, "")))
    if "before" in finding or "after" in finding:
        yield line(f"    is {finding.get('before', 'unknown')}, should be {finding.get('after', 'unknown')}")
    if finding.get("reason"):
        yield line((f"    {finding['reason']}", "red" if outcome == "Failed" else ""))
    for row in finding.get("diff", "").removesuffix("\n").split("\n"):
        if row:
            yield line((f"    {row}", "dim"), keep="\t")


def _labels(row: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(row.get("labels", {}).items()))
