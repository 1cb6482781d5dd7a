"""A plan as people want it: by association, equal changes together, whatever group of nodes they came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.cli.output import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.engine.views import ChangeView, ClaimView, PlanView

NAMES_SHOWN = 8


@dataclass(slots=True)
class Variant:
    """One diff that a change comes to, on these nodes (id -> name)."""

    diff: str
    nodes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class EqualChange:
    """One change of one claim and all nodes that it happens on; `unknown` of them are not connected.

    A template may come to another diff on each node: those that change the same lines are one variant.
    """

    claim: ClaimView
    nodes: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    variants: dict[str, Variant] = field(default_factory=dict)

    def add(self, change: ChangeView, diff: str) -> None:
        self.nodes.update(change["nodes"])
        self.unknown.update(change["unknown"])
        self.variants.setdefault(_changed_lines(diff), Variant(diff)).nodes.update(change["nodes"])


@dataclass(slots=True)
class Section:
    """What one association changes; an empty uid stands for labels and vars."""

    uid: str
    changes: list[EqualChange]

    @property
    def nodes(self) -> dict[str, str]:
        return {node: name for change in self.changes for node, name in change.nodes.items()}

    @property
    def title(self) -> str:
        return self.uid or "labels and vars"

    def signed(self, sign: str) -> int:
        """How many of its changes have this sign."""
        return sum(change.claim["sign"] == sign for change in self.changes)


def sections(view: PlanView) -> list[Section]:
    """Everything that is not a removal: associations that change most nodes first, each in its document's order."""
    found: dict[str, dict[str, EqualChange]] = {}
    for change in view["changes"]:
        if change["action"] != "Remove":
            groups = found.setdefault(change["uid"], {})
            for claim in change["claims"]:
                groups.setdefault(_key(claim), EqualChange(claim)).add(change, claim["diff"])
    listed = [Section(uid, list(groups.values())) for uid, groups in found.items() if groups]
    return sorted(listed, key=lambda section: (-len(section.nodes), section.uid))


def removals(view: PlanView) -> list[ChangeView]:
    """Changes that take an association away from nodes."""
    return [change for change in view["changes"] if change["action"] == "Remove"]


def thing(claim: str) -> str:
    """A claim as people say it, and as `explain` takes it: `/etc/motd`, `package:nginx`."""
    return claim.removeprefix("path:")


def named(names: Iterable[str]) -> str:
    """`web-1, web-2 and 410 more`."""
    listed = sorted(names)
    shown = ", ".join(listed[:NAMES_SHOWN])
    return shown if len(listed) <= NAMES_SHOWN else f"{shown} and {len(listed) - NAMES_SHOWN} more"


def headline(view: PlanView) -> str:
    """The whole plan in one line."""
    touched = {node for change in view["changes"] for node in change["nodes"]}
    found = ((view["errors"], "error"), (view["conflicts"], "conflict"))
    troubles = [counted(len(listed), word) for listed, word in found if listed]
    kept_back = f"{' and '.join(troubles)}: what they concern stays as it is." if troubles else ""
    if not touched:
        if not kept_back:
            kept_back = "Every node was given what Git asks for." if view["live"] else "Both ask for the same."
        return f"No changes. {kept_back}"
    summary = view["summary"]
    parts = [
        f"{number} to {verb}"
        for number, verb in (
            (summary["assign"], "assign"),
            (summary["remove"], "remove"),
            (summary["describe"], "describe anew"),
        )
        if number
    ]
    return f"Plan: {', '.join(parts)}, on {counted(len(touched), 'node')}. {kept_back}".rstrip()


def has_changes(view: PlanView) -> bool:
    return bool(view["changes"])


def _key(claim: ClaimView) -> str:
    return json.dumps([claim["claim"], claim["sign"], claim["place"], claim["detail"], claim["note"]])


def _changed_lines(diff: str) -> str:
    """What a diff takes away and adds, without what surrounds it."""
    return "\n".join(row for row in diff.split("\n") if row[:1] in "+-" and row)
