"""Data files of cases, and how a test reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from reconciler.core.problem import Finding


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of `NAME.yaml`, read by PyYAML's own loader: what is tested does not read its own tests."""
    found: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text())
    return found


def as_written(finding: Finding) -> dict[str, Any]:
    """A finding as the case files write it."""
    assert finding.severity == "error"
    written: dict[str, Any] = {"message": finding.message}
    if finding.place.line:
        written |= {"line": finding.place.line, "column": finding.place.column}
    if finding.expected:
        written["expected"] = finding.expected
    if finding.nearest:
        written["nearest"] = finding.nearest
    if finding.related:
        written["related"] = [[place.line, place.column] for place in finding.related]
    return written
