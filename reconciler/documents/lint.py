"""Lint: everything there is to say about one file that may be a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.documents.document import read
from reconciler.documents.needs import Need, needs

if TYPE_CHECKING:
    from reconciler.core.problem import Finding


@dataclass(frozen=True, slots=True)
class Linted:
    """`parsed`: the text became a tree. `needs` are known only of a document without errors."""

    parsed: bool
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...] = ()
    needs: tuple[Need, ...] = ()

    @property
    def runnable(self) -> bool:
        """Whether nothing keeps it from running here."""
        return not self.errors and not self.needs


def lint(data: bytes, path: str) -> Linted:
    """What is wrong with a file, what is doubtful, and what it needs."""
    reading = read(data, path)
    errors = tuple(finding for finding in reading.findings if finding.severity == "error")
    warnings = tuple(finding for finding in reading.findings if finding.severity != "error")
    lacking = needs(reading.document) if reading.document else ()
    return Linted(reading.parsed, errors, warnings, lacking)
