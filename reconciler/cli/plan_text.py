"""A plan for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cli.output import counted, line, waiting
from reconciler.cli.plan_groups import headline, named, removals, sections, thing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from reconciler.cli.plan_groups import EqualChange, Section
    from reconciler.engine.views import ChangeView, ConflictView, PlanView

SIGNS = {"+": "green", "~": "yellow", "-": "red"}
VARIANTS_SHOWN = 3
DIFF_HEAD = 2
"""Lines of a unified diff that name what is compared."""
SUMMED_FROM = 2
"""Sections from which on the plan ends with a table of them."""


def render(view: PlanView, *, width: int, brief: bool = False) -> Iterator[Text]:
    """Lines, in the order a careful reader wants: what is wrong, what goes away, what changes, what waits, the sum.

    `brief` leaves attributes and diffs out.
    """
    yield from _origin(view)
    for error in view["errors"]:
        yield line((error, "red"))
    for conflict in view["conflicts"]:
        yield line((_conflict(conflict), "red"))
    for warning in view["warnings"]:
        yield line((warning, "yellow"))
    for change in removals(view):
        yield line()
        yield from _removal(change, live=view["live"])
    listed = sections(view)
    for section in listed:
        yield line()
        yield from _section(section, live=view["live"], width=width, brief=brief)
    for closing in (_sums(listed) if len(listed) >= SUMMED_FROM else iter(()), _around(view)):
        yield from _after_a_gap(closing)
    yield line()
    yield line((headline(view), "bold"))


def _after_a_gap(lines: Iterator[Text]) -> Iterator[Text]:
    for first in lines:
        yield line()
        yield first
        yield from lines


def _origin(view: PlanView) -> Iterator[Text]:
    base = f", from {view['base'][:12]}" if view["base"] not in ("", view["commit"]) else ""
    commit = "the working tree" if view["commit"] in ("", "worktree") else f"commit {view['commit'][:12]}"
    yield line((f"{commit}{base}", "dim"))
    if not view["live"]:
        yield line(("Git against Git: no server was asked, what every node is now is unknown", "yellow"))


def _conflict(conflict: ConflictView) -> str:
    one, other = conflict["one"], conflict["other"]
    return (
        f"{one['place']}: conflict: {thing(conflict['owned'])} is claimed by {one['uid']}, and by {other['uid']} at "
        f"{other['place']}; neither is newly given to {counted(len(conflict['nodes']), 'node')}: "
        f"{named(conflict['nodes'])}"
    )


def _removal(change: ChangeView, *, live: bool) -> Iterator[Text]:
    count = counted(len(change["nodes"]), "node")
    yield line((f"{count}: - {change['uid']}", "bold red"), f"  {named(change['nodes'].values())}")
    for claim in change["claims"]:
        yield line((f"      - {thing(claim['claim'])}: {claim['note']}", "red"))
    yield from _unknown(change["unknown"], live=live)


def _section(section: Section, *, live: bool, width: int, brief: bool) -> Iterator[Text]:
    nodes = section.nodes
    yield line((section.title, "bold"), f" on {counted(len(nodes), 'node')}: {named(nodes.values())}")
    for change in section.changes:
        yield from _head(change, width)
        if len(change.nodes) < len(nodes):
            yield line(f"      {named(change.nodes.values())}")
        if not brief:
            for detail in change.claim["detail"]:
                yield line((f"      {detail}", SIGNS[change.claim["sign"]]))
            yield from _diffs(change)
        if change.claim["note"]:
            yield line((f"      {change.claim['note']}", "italic"))
        yield from _unknown(change.unknown, live=live)


def _head(change: EqualChange, width: int) -> Iterator[Text]:
    claim = change.claim
    head = f"  {counted(len(change.nodes), 'node')}: "
    what = f"{claim['sign']} {thing(claim['claim'])}"
    first = ((head, "bold"), (what, f"bold {SIGNS[claim['sign']]}"))
    if len(head) + len(what) + 2 + len(claim["place"]) <= width:
        yield line(*first, (f"  {claim['place']}" if claim["place"] else "", "dim"))
    else:
        yield line(*first)
        yield line((f"      {claim['place']}", "dim"))


def _diffs(change: EqualChange) -> Iterator[Text]:
    variants = [variant for variant in change.variants.values() if variant.diff]
    for variant in variants[:VARIANTS_SHOWN]:
        if len(variants) > 1:
            yield line((f"      on {counted(len(variant.nodes), 'node')}: {named(variant.nodes.values())}", "italic"))
        for number, row in enumerate(variant.diff.removesuffix("\n").split("\n")):
            style = "bold" if number < DIFF_HEAD else SIGNS.get(row[:1], "")
            yield line((f"      {row}", style), keep="\t")
    if len(variants) > VARIANTS_SHOWN:
        more = f"{len(variants) - VARIANTS_SHOWN} more variants on other nodes; --format json has them all"
        yield line((f"      {more}", "italic"))


def _unknown(names: list[str] | set[str], *, live: bool) -> Iterator[Text]:
    if names and live:
        yield line((f"      unknown (not connected, told when back): {named(names)}", "yellow"))


def _sums(listed: list[Section]) -> Iterator[Text]:
    """How much each association changes, one line each."""
    wide = max(len(section.title) for section in listed)
    for section in listed:
        parts = [(f"{section.title:<{wide}}  {counted(len(section.nodes), 'node'):>9}", "")]
        for sign, style in SIGNS.items():
            number = section.signed(sign)
            parts.append((f"  {sign}{number:<4}" if number else " " * 7, style))
        text = line(*parts)
        text.rstrip()
        yield text


def _around(view: PlanView) -> Iterator[Text]:
    """What is to be known besides: nodes that are not as they should be, that wait, that nobody enrolled."""
    for standing in view["standing"]:
        for names, word, style in ((standing["failed"], "failed", "red"), (standing["drifted"], "drifted", "yellow")):
            if names:
                yield line((f"{standing['uid']} {word} on {counted(len(names), 'node')}: {named(names)}", style))
    for wait in view["waiting"]:
        yield line((waiting(wait["uid"], len(wait["nodes"]), wait["reason"]), "cyan"))
    if view["notEnrolled"]:
        yield line((f"not enrolled: {named(view['notEnrolled'])}", "yellow"))
