"""Findings as `--format json` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from reconciler.core.problem import Finding


class FindingView(TypedDict):
    """One thing wrong or doubtful. `line` and `column` count from 1; 0 means the whole file."""

    path: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    message: str
    expected: str
    nearest: str
    related: list[str]


def view(finding: Finding) -> FindingView:
    """A finding as it is printed."""
    return {
        "path": finding.place.path,
        "line": finding.place.line,
        "column": finding.place.column,
        "severity": "error" if finding.severity == "error" else "warning",
        "message": finding.message,
        "expected": finding.expected,
        "nearest": finding.nearest,
        "related": [str(place) for place in finding.related],
    }
