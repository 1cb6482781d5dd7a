"""Compliance: what the branch of the same name says. Pages hold state transitions only, so no change makes no commit.

`nodes/<last two hex of the id>/<name>.yaml` is one node; `summary.yaml` is for programs and `README.md` for people.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.contract.canonical import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.core.records import StateRow

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNSPECIFIED")
WORST_SHOWN = 10
CHANGES_SHOWN = 20
_BAR = 30


@dataclass(frozen=True, slots=True)
class Standing:
    """One association over the fleet: how many nodes are how."""

    uid: str
    severity: str
    compliant: int
    non_compliant: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The fleet: nodes by their worst state, associations, and the nodes with most that is not as it should be."""

    nodes: int
    compliant: int
    non_compliant: int
    unknown: int
    associations: tuple[Standing, ...] = ()
    worst: tuple[tuple[str, int, str], ...] = ()
    """(node name, associations not compliant, highest severity among them), worst first."""
    changed: tuple[tuple[str, StateRow], ...] = field(default=())
    """(node name, its new state) since the page before."""


_NODES = "nodes/"
_TOTAL = re.compile(rb"^  total: ([0-9]+)$", re.MULTILINE)


def node_path(node_id: str, name: str) -> str:
    return f"{_NODES}{node_id[-2:]}/{name}.yaml"


def is_node_path(path: str) -> bool:
    return path.startswith(_NODES)


def nodes_in(summary: bytes) -> int:
    """How many nodes a `summary.yaml` counts; none where there is no such page."""
    found = _TOTAL.search(summary)
    return int(found[1]) if found else 0


def node_page(node_id: str, name: str, states: Iterable[StateRow], severities: Mapping[str, str]) -> bytes:
    """One node's file. Neither times of contact nor counts: only what changes when a state does."""
    rows = sorted(states, key=lambda row: row.uid)
    lines = [f"node: {json.dumps(name)}", f"id: {node_id}", f"compliance: {worst_of(row.compliance for row in rows)}"]
    lines.append("associations:" if rows else "associations: {}")
    for row in rows:
        lines += [
            f"  {row.uid}:",
            f"    compliance: {row.compliance}",
            f"    severity: {severities.get(row.uid, 'UNSPECIFIED')}",
            f"    status: {row.status}",
            f"    since: {instant(row.since)}",
            f"    commit: {row.commit}",
        ]
        if row.reason:
            lines.append(f"    reason: {json.dumps(row.reason)}")
        if findings := _finding_keys(row):
            lines.append("    findings:")
            lines += [f"      - {json.dumps(text)}" for text in findings]
    return ("\n".join(lines) + "\n").encode()


def worst_of(words: Iterable[str]) -> str:
    """NON_COMPLIANT before UNKNOWN before COMPLIANT; UNKNOWN for nothing at all."""
    seen = set(words)
    if "NON_COMPLIANT" in seen:
        return "NON_COMPLIANT"
    return "UNKNOWN" if "UNKNOWN" in seen or not seen else "COMPLIANT"


def summary_page(totals: Totals) -> bytes:
    """`summary.yaml`."""
    lines = [
        "nodes:",
        f"  total: {totals.nodes}",
        f"  compliant: {totals.compliant}",
        f"  nonCompliant: {totals.non_compliant}",
        f"  unknown: {totals.unknown}",
        "nonCompliantBySeverity:",
    ]
    by_severity = severity_counts(totals.associations)
    lines += [f"  {severity}: {by_severity[severity]}" for severity in SEVERITIES]
    lines.append("associations:" if totals.associations else "associations: {}")
    for standing in totals.associations:
        lines += [
            f"  {standing.uid}:",
            f"    severity: {standing.severity}",
            f"    compliant: {standing.compliant}",
            f"    nonCompliant: {standing.non_compliant}",
            f"    unknown: {standing.unknown}",
        ]
    return ("\n".join(lines) + "\n").encode()


def severity_counts(associations: Iterable[Standing]) -> dict[str, int]:
    """Non-compliant (node, association) pairs by severity."""
    counts = dict.fromkeys(SEVERITIES, 0)
    for standing in associations:
        counts[standing.severity] += standing.non_compliant
    return counts


def front_page(fleet: str, totals: Totals) -> bytes:
    """`README.md`: how the fleet stands, what changed, where to look first."""
    share = totals.compliant * 100 // totals.nodes if totals.nodes else 0
    filled = share * _BAR // 100
    lines = [
        f"# Compliance of {fleet}",
        "",
        f"**{totals.compliant} of {totals.nodes} nodes compliant** ({share} %)",
        "",
        f"`{'█' * filled}{'░' * (_BAR - filled)}`",
        "",
        "| compliant | not compliant | unknown |",
        "|---:|---:|---:|",
        f"| {totals.compliant} | {totals.non_compliant} | {totals.unknown} |",
        "",
        *_changes(totals.changed),
        *_worst(totals.worst),
        *_severities(totals.associations),
        *_associations(totals.associations),
    ]
    return ("\n".join(lines).rstrip() + "\n").encode()


def subject_line(totals: Totals) -> str:
    """The commit's subject: what happened, for `git log --oneline`."""
    bad = [(name, row) for name, row in totals.changed if row.compliance == "NON_COMPLIANT"]
    good = [(name, row) for name, row in totals.changed if row.compliance == "COMPLIANT"]
    standing = f"{totals.compliant}/{totals.nodes} compliant"
    if bad:
        name, row = bad[0]
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        return f"{name} is not compliant with {_short(row.uid)}{more}; {standing}"
    if good:
        name, row = good[0]
        nodes = {node for node, _ in good}
        who = name if len(nodes) == 1 else f"{len(nodes)} nodes"
        what = _short(row.uid) if len({row.uid for _, row in good}) == 1 else f"{len(good)} associations"
        return f"{who} compliant with {what}; {standing}"
    return f"Compliance: {standing}"


def _short(uid: str) -> str:
    return uid.partition("/")[2]


def _finding_keys(row: StateRow) -> list[str]:
    return [f"{finding['claim']} {finding['outcome']}" for finding in json.loads(row.findings)]


def _changes(changed: Sequence[tuple[str, StateRow]]) -> list[str]:
    if not changed:
        return []
    lines = ["## What changed", "", "| node | association | now | since | why |", "|---|---|---|---|---|"]
    order = {"NON_COMPLIANT": 0, "UNKNOWN": 1, "COMPLIANT": 2}
    ranked = sorted(changed, key=lambda item: (order[item[1].compliance], item[0], item[1].uid))
    for name, row in ranked[:CHANGES_SHOWN]:
        why = _cell("; ".join(_finding_keys(row)) or row.reason)
        lines.append(f"| {_cell(name)} | {_short(row.uid)} | {row.compliance} | {instant(row.since)} | {why} |")
    if len(changed) > CHANGES_SHOWN:
        lines += ["", f"and {len(changed) - CHANGES_SHOWN} more."]
    return [*lines, ""]


def _worst(worst: Sequence[tuple[str, int, str]]) -> list[str]:
    if not worst:
        return []
    lines = ["## Where to look first", "", "| node | not compliant with | highest severity |", "|---|---:|---|"]
    lines += [f"| {_cell(name)} | {count} | {severity} |" for name, count, severity in worst[:WORST_SHOWN]]
    return [*lines, ""]


def _severities(associations: Sequence[Standing]) -> list[str]:
    counts = {severity: count for severity, count in severity_counts(associations).items() if count}
    if not counts:
        return []
    lines = ["## By severity", "", "| severity | not compliant |", "|---|---:|"]
    return [*lines, *(f"| {severity} | {count} |" for severity, count in counts.items()), ""]


def _associations(associations: Sequence[Standing]) -> list[str]:
    lines = [
        "## Associations",
        "",
        "| association | severity | compliant | not | unknown |",
        "|---|---|---:|---:|---:|",
    ]
    counted = (f"{row.severity} | {row.compliant} | {row.non_compliant} | {row.unknown}" for row in associations)
    names = (_short(row.uid) for row in associations)
    return lines + [f"| {name} | {counts} |" for name, counts in zip(names, counted, strict=True)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]
