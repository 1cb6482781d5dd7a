"""A plan for a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.cli.plan_groups import counted, equal_changes, headline, named, others, removals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.engine.preview import PlanView

LONGEST = 60_000
"""Characters; forges refuse comments past 65,536."""


def render(view: PlanView) -> str:
    """The whole comment; cut at the end, and said so, where a forge would refuse it."""
    text = "\n".join(_lines(view)) + "\n"
    if len(text) <= LONGEST:
        return text
    return text[:LONGEST].rsplit("\n", 1)[0] + "\n\n</details>\n\n**The plan is longer than a comment may be.**\n"


def _lines(view: PlanView) -> Iterator[str]:
    yield f"### opsctl plan `{view['commit'][:12] or 'work tree'}`"
    yield ""
    yield f"**{headline(view)}**"
    if not view["live"]:
        yield ""
        yield "_Git against Git: no server was asked, what every node is now is unknown._"
    for error in view["errors"]:
        yield f"- :x: `{error}`"
    for conflict in view["conflicts"]:
        one, other = conflict["one"], conflict["other"]
        yield (
            f"- :x: `{conflict['owned']}` is claimed by {one['uid']} at `{one['place']}` and by {other['uid']} at "
            f"`{other['place']}`; neither is given to {named(conflict['nodes'])}"
        )
    for warning in view["warnings"]:
        yield f"- :warning: `{warning}`"
    taken = removals(view)
    if taken:
        yield ""
        yield "#### Removed"
        for change in taken:
            names = named(change["nodes"].values())
            yield f"- **{counted(len(change['nodes']), 'node')}: - {change['uid']}** ({names})"
            for claim in change["claims"]:
                yield f"  - `{claim['claim']}`: {claim['note']}"
    groups = equal_changes(others(view))
    if groups:
        yield ""
        yield "#### Changed"
    for group in groups:
        claim = group.claim
        yield ""
        title = f"{counted(len(group.nodes), 'node')}: {claim['sign']} {claim['claim']}"
        yield f"<details><summary><code>{_escaped(title)}</code></summary>"
        yield ""
        yield f"{named(group.nodes.values())}; {group.uid or 'Node'} {claim['place']}"
        if group.unknown:
            yield ""
            yield f"Unknown, not connected: {named(group.unknown)}"
        if claim["note"]:
            yield ""
            yield f"_{claim['note']}_"
        body = "\n".join(claim["detail"]) + ("\n" if claim["detail"] and claim["diff"] else "") + claim["diff"]
        if body:
            fence = _fence(body)
            yield ""
            yield f"{fence}diff"
            yield body.rstrip("\n")
            yield fence
        yield ""
        yield "</details>"
    for wait in view["waiting"]:
        yield f"- {counted(len(wait['nodes']), 'node')} wait with {wait['uid'] or 'labels and vars'}: {wait['reason']}"


def _fence(body: str) -> str:
    """A fence longer than any run of backticks inside, so that content cannot leave it."""
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    return "`" * max(3, longest + 1)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
