"""Problems as JSON and back: `{"error": {"class", "message", "findings": [...], ...}}` and an HTTP status.

The class decides, the status follows it; both sides use this module, so a problem crosses without loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Defect, Finding, Invalid, Place, Problem, Refused, Unavailable, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable


class Unauthenticated(Refused):
    """Nobody is known to have asked. To the client it is `Refused`."""


class TooMany(Unavailable):
    """More requests than one peer or operator may make. To the client it is `Unavailable`."""


_STATUS: tuple[tuple[type[Problem], int], ...] = (
    (Unauthenticated, 401),
    (TooMany, 429),
    (Invalid, 422),
    (Refused, 403),
    (Waiting, 409),
    (Unavailable, 503),
    (Problem, 500),
)


def status_of(problem: Problem) -> int:
    """The HTTP status that goes with a problem."""
    return next(status for kind, status in _STATUS if isinstance(problem, kind))


def to_json(problem: Problem) -> dict[str, Any]:
    """The body that tells a problem."""
    error: dict[str, Any] = {"class": "Defect", "message": str(problem), "findings": []}
    if isinstance(problem, Invalid):
        error |= {"class": "Invalid", "findings": [_finding_to_json(finding) for finding in problem.findings]}
    elif isinstance(problem, Refused):
        error |= {"class": "Refused", "what": problem.what, "rule": problem.rule, "remedy": problem.remedy}
    elif isinstance(problem, Waiting):
        error |= {"class": "Waiting", "what": problem.what, "until": problem.until}
    elif isinstance(problem, Unavailable):
        retry = round(problem.retry_after * 1000)
        error |= {"class": "Unavailable", "what": problem.what, "why": problem.why, "retryAfterMs": retry}
    elif isinstance(problem, Defect):
        error |= {"what": problem.what}
    return {"error": error}


def from_json(body: Any) -> Problem | None:
    """The problem that a body tells; None where it tells none, and something else than this API answered."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    try:
        return _MAKERS[error["class"]](error)
    except (KeyError, TypeError, ValueError):
        return None


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    return {
        "message": finding.message,
        **_place_to_json(finding.place),
        "expected": finding.expected,
        "nearest": finding.nearest,
        "severity": finding.severity,
        "related": [_place_to_json(place) for place in finding.related],
    }


def _place_to_json(place: Place) -> dict[str, Any]:
    return {"path": place.path, "line": place.line, "column": place.column}


def _finding(value: dict[str, Any]) -> Finding:
    return Finding(
        message=str(value["message"]),
        place=_place(value),
        expected=str(value["expected"]),
        nearest=str(value["nearest"]),
        severity=str(value["severity"]),
        related=tuple(_place(place) for place in value["related"]),
    )


def _place(value: dict[str, Any]) -> Place:
    return Place(str(value["path"]), int(value["line"]), int(value["column"]))


_MAKERS: dict[str, Callable[[dict[str, Any]], Problem]] = {
    "Invalid": lambda error: Invalid(tuple(_finding(finding) for finding in error["findings"])),
    "Refused": lambda error: Refused(str(error["what"]), str(error["rule"]), str(error["remedy"])),
    "Waiting": lambda error: Waiting(str(error["what"]), int(error["until"])),
    "Unavailable": lambda error: Unavailable(str(error["what"]), str(error["why"]), error["retryAfterMs"] / 1000),
    "Defect": lambda error: Defect(str(error.get("what", error["message"]))),
}
