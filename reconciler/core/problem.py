"""The few errors of the house; each class means one reaction of whoever catches it.

A `Place` points into a file as an editor does (lines and columns from 1). Faces render problems; nobody else prints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A point in a file of the config repository. `path` is relative to its root; line 0 means the whole file."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.path
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong (or doubtful) in the user's files: what, where, what was expected, what to do."""

    message: str
    place: Place
    expected: str = ""
    nearest: str = ""
    severity: str = "error"  # error | warning
    related: tuple[Place, ...] = ()

    def __str__(self) -> str:
        text = f"{self.place}: {self.severity}: {self.message}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f"; did you mean {self.nearest!r}?"
        if self.related:
            text += "; see also " + ", ".join(str(place) for place in self.related)
        return text


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to `name`, letter case aside, or an empty string where none is close."""
    by_folded = {other.casefold(): other for other in sorted(known)}
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else ""


class Problem(Exception):
    """Root of the house's errors; never raised itself."""


@dataclass
class Invalid(Problem):
    """The user's file is wrong. Reaction: show every finding; keep the last good revision running."""

    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


@dataclass
class Refused(Problem):
    """Policy says no. Reaction: name the rule; do not retry."""

    what: str
    rule: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        text = f"refused: {self.what}"
        if self.rule:
            text += f" (rule: {self.rule})"
        if self.remedy:
            text += f"; {self.remedy}"
        return text


@dataclass
class Waiting(Problem):
    """Not yet. Reaction: show what for and until when; look again then. `until` is Unix milliseconds, 0 = unknown."""

    what: str
    until: int = 0

    def __str__(self) -> str:
        return f"waiting: {self.what}"


@dataclass
class Unavailable(Problem):
    """Something outside does not answer. Reaction: retry with backoff; `what` names it, `why` is its own last word."""

    what: str
    why: str = ""
    retry_after: float = field(default=0.0)

    def __str__(self) -> str:
        return f"unavailable: {self.what}" + (f": {self.why}" if self.why else "")


@dataclass
class Defect(Problem):
    """Ours. Reaction: report it with its details; stop the one thing that met it, not the rest."""

    what: str

    def __str__(self) -> str:
        return f"defect in opsctl: {self.what}"
