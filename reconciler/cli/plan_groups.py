"""A plan as people want it: equal changes together, whatever group of nodes they came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.engine.preview import ChangeView, ClaimView, PlanView

NAMES_SHOWN = 8


@dataclass(slots=True)
class EqualChange:
    """One change of one claim and all nodes that it happens on; `unknown` of them are offline."""

    claim: ClaimView
    uid: str
    nodes: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    @property
    def key(self) -> str:
        return json.dumps([self.uid, self.claim], sort_keys=True)


def equal_changes(changes: Iterable[ChangeView]) -> list[EqualChange]:
    """Changes of claims, grouped; those on most nodes first, then by claim."""
    groups: dict[str, EqualChange] = {}
    for change in changes:
        for claim in change["claims"]:
            fresh = EqualChange(claim, change["uid"])
            group = groups.setdefault(fresh.key, fresh)
            group.nodes.update(change["nodes"])
            group.unknown.update(change["unknown"])
    return sorted(groups.values(), key=lambda group: (-len(group.nodes), group.claim["claim"]))


def removals(view: PlanView) -> list[ChangeView]:
    """Changes that take an association away from nodes."""
    return [change for change in view["changes"] if change["action"] == "Remove"]


def others(view: PlanView) -> list[ChangeView]:
    """Everything else."""
    return [change for change in view["changes"] if change["action"] != "Remove"]


def named(names: Iterable[str]) -> str:
    """`web-1, web-2 and 410 more`."""
    listed = sorted(names)
    shown = ", ".join(listed[:NAMES_SHOWN])
    return shown if len(listed) <= NAMES_SHOWN else f"{shown} and {len(listed) - NAMES_SHOWN} more"


def counted(number: int, noun: str) -> str:
    """`1 node`, `412 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def headline(view: PlanView) -> str:
    """The whole plan in one line."""
    touched: set[str] = set()
    for change in view["changes"]:
        touched.update(change["nodes"])
    if not touched:
        return "No changes. Every node was given what Git asks for."
    summary = view["summary"]
    parts = []
    if summary["assign"]:
        parts.append(f"{summary['assign']} to assign")
    if summary["remove"]:
        parts.append(f"{summary['remove']} to remove")
    if summary["describe"]:
        parts.append(f"{summary['describe']} to describe anew")
    return f"Plan: {', '.join(parts)}, on {counted(len(touched), 'node')}."


def has_changes(view: PlanView) -> bool:
    return bool(view["changes"])
