"""A plan for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from reconciler.cli.plan_groups import counted, equal_changes, headline, named, others, removals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.cli.plan_groups import EqualChange
    from reconciler.engine.preview import PlanView

SIGNS = {"+": "green", "~": "yellow", "-": "red"}


def render(view: PlanView) -> Iterator[Text]:
    """Lines, in the order a careful reader wants: what is wrong, what goes away, what changes, what waits, the sum."""
    yield from _origin(view)
    for error in view["errors"]:
        yield Text(f"! {error}", "red")
    for conflict in view["conflicts"]:
        one, other = conflict["one"], conflict["other"]
        yield Text(f"! conflict: {conflict['owned']} on {counted(len(conflict['nodes']), 'node')}", "red")
        yield Text(f"    {one['place']}: {one['uid']}")
        yield Text(f"    {other['place']}: {other['uid']}")
        yield Text(f"    neither is given there: {named(conflict['nodes'])}")
    for warning in view["warnings"]:
        yield Text(f"! {warning}", "yellow")
    yield from _removals(view)
    for group in equal_changes(others(view)):
        yield from _change(group)
        yield from _unknown(sorted(group.unknown) if view["live"] else [])
    for standing in view["standing"]:
        for word, style in (("failed", "red"), ("drifted", "yellow")):
            names = standing[word]  # type: ignore[literal-required]
            if names:
                yield Text(f"{counted(len(names), 'node')}: {standing['uid']} {word} ({named(names)})", style)
    for wait in view["waiting"]:
        text = f"{counted(len(wait['nodes']), 'node')} wait with {wait['uid'] or 'labels and vars'}: {wait['reason']}"
        yield Text(text, "cyan")
    if view["notEnrolled"]:
        yield Text(f"not enrolled: {named(view['notEnrolled'])}", "yellow")
    yield Text()
    yield Text(headline(view), "bold")


def _origin(view: PlanView) -> Iterator[Text]:
    base = f" (from {view['base'][:12]})" if view["base"] else ""
    yield Text(f"commit {view['commit'][:12] or 'work tree'}{base}", "dim")
    if not view["live"]:
        yield Text("Git against Git: no server was asked, what every node is now is unknown", "yellow")
    yield Text()


def _removals(view: PlanView) -> Iterator[Text]:
    for change in removals(view):
        who = named(change["nodes"].values())
        yield Text(f"{counted(len(change['nodes']), 'node')}: - {change['uid']} ({who})", "bold red")
        for claim in change["claims"]:
            yield Text(f"      - {claim['claim']}: {claim['note']}", "red")
        yield from _unknown(change["unknown"] if view["live"] else [])


def _change(group: EqualChange) -> Iterator[Text]:
    claim, style = group.claim, SIGNS[group.claim["sign"]]
    line = Text(f"{counted(len(group.nodes), 'node')}: ", "bold")
    line.append(f"{claim['sign']} {claim['claim']}", f"bold {style}")
    line.append(f"  {group.uid or 'Node'} {claim['place']}", "dim")
    yield line
    yield Text(f"    {named(group.nodes.values())}", "dim")
    for detail in claim["detail"]:
        yield Text(f"    {detail}", style)
    for row in claim["diff"].splitlines():
        yield Text(f"    {row}", SIGNS["+" if row.startswith("+") else "-"] if row[:1] in "+-" else "")
    if claim["note"]:
        yield Text(f"    {claim['note']}", "italic")


def _unknown(names: list[str]) -> Iterator[Text]:
    if names:
        yield Text(f"    unknown (not connected, told when back): {named(names)}", "yellow")
