"""A plan for a pull request. What stands in it comes from the pull request itself, so no text can leave its place."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from reconciler.cli.output import counted, waiting
from reconciler.cli.plan_groups import headline, named, removals, sections, thing
from reconciler.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.cli.plan_groups import EqualChange, Section
    from reconciler.engine.views import PlanView

LONGEST = 60_000
"""Characters; forges refuse comments past 65,536."""
_CUT = "\n**The plan is longer than a comment may be; `opsctl plan` shows all of it.**\n"


def render(view: PlanView) -> str:
    """The whole comment; whole blocks are left out at its end, and said so, where a forge would refuse it."""
    text = ""
    for block in _blocks(view):
        if len(text) + len(block) > LONGEST:
            return text + _CUT
        text += block + "\n"
    return text


def _blocks(view: PlanView) -> Iterator[str]:
    """Blocks that stand by themselves, so that any of them may be the last."""
    commit = "the working tree" if view["commit"] in ("", "worktree") else _code(view["commit"][:12])
    yield f"### opsctl plan: {commit}\n"
    yield f"**{headline(view)}**\n"
    if not view["live"]:
        yield "_Git against Git: no server was asked, what every node is now is unknown._\n"
    yield from _list(f":x: {_code(error)}" for error in view["errors"])
    yield from _list(
        f":x: {_code(conflict['owned'])} is claimed by {_code(conflict['one']['uid'])} at "
        f"{_code(conflict['one']['place'])} and by {_code(conflict['other']['uid'])} at "
        f"{_code(conflict['other']['place'])}; neither is newly given to {_names(conflict['nodes'])}"
        for conflict in view["conflicts"]
    )
    yield from _list(f":warning: {_code(warning)}" for warning in view["warnings"])
    yield from _removals(view)
    for section in sections(view):
        yield from _section(section)
    yield from _list(
        f":hourglass: {_code(waiting(wait['uid'], len(wait['nodes']), wait['reason']))}" for wait in view["waiting"]
    )
    if view["notEnrolled"]:
        yield f"Not enrolled: {_names(view['notEnrolled'])}\n"


def _removals(view: PlanView) -> Iterator[str]:
    taken = removals(view)
    if taken:
        yield "#### Removed\n"
    for change in taken:
        lines = [f"- **{counted(len(change['nodes']), 'node')}: -** {_code(change['uid'])}"]
        lines[0] += f" ({_names(change['nodes'].values())})"
        lines += [f"  - {_code(thing(claim['claim']))}: {_code(claim['note'])}" for claim in change["claims"]]
        yield "\n".join(lines) + "\n"


def _section(section: Section) -> Iterator[str]:
    nodes = section.nodes
    yield f"#### {_code(section.title)} on {counted(len(nodes), 'node')}\n\n{_names(nodes.values())}\n"
    for change in section.changes:
        yield _change(change, everywhere=len(change.nodes) == len(nodes))


def _change(change: EqualChange, *, everywhere: bool) -> str:
    claim = change.claim
    title = f"{counted(len(change.nodes), 'node')}: {claim['sign']} {thing(claim['claim'])}"
    lines = [f"<details><summary><code>{html.escape(printable(title))}</code></summary>", ""]
    if claim["place"]:
        lines += [f"at {_code(claim['place'])}", ""]
    if not everywhere:
        lines += [_names(change.nodes.values()), ""]
    if change.unknown and len(change.unknown) < len(change.nodes):
        lines += [f"Not connected: {_names(change.unknown)}", ""]
    if claim["detail"]:
        lines += [*_fenced("", "\n".join(claim["detail"])), ""]
    variants = [variant for variant in change.variants.values() if variant.diff]
    for variant in variants:
        if len(variants) > 1:
            lines += [f"on {_names(variant.nodes.values())}:", ""]
        lines += [*_fenced("diff", variant.diff.removesuffix("\n")), ""]
    if claim["note"]:
        lines += [_code(claim["note"]), ""]
    return "\n".join([*lines, "</details>"]) + "\n"


def _list(items: Iterable[str]) -> Iterator[str]:
    lines = [f"- {item}\n" for item in items]
    if lines:
        yield "".join(lines)


def _names(names: Iterable[str]) -> str:
    return _code(named(names))


def _code(text: str) -> str:
    """A code span that the text cannot leave."""
    shown = printable(text)
    ticks = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[:1] in ("`", " ") or shown[-1:] in ("`", " ") else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}" if shown else ""


def _fenced(language: str, body: str) -> list[str]:
    """A block whose fence is longer than any run of backticks inside."""
    fence = "`" * max(3, _longest_run(body) + 1)
    return [f"{fence}{language}", *(printable(row, keep="\t") for row in body.split("\n")), fence]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
