"""pydantic's complaints as misfits in people's words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.core.typed.coerce import Misfit
from reconciler.core.typed.markers import Wrong
from reconciler.core.typed.words import is_what, path_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from reconciler.core.manifest import Loc

_EXPECTED = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that matches `{pattern}`",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
}
_NO_BRANCH = ("union_tag_invalid", "union_tag_not_found")
_INPUT_SHOULD_BE = "Input should be "


def misfits_of(error: ValidationError, value: Any, loc: Loc, reported: Iterable[Loc]) -> list[Misfit]:
    """What pydantic found in `value` (which is at `loc` of its document), without what is below a `reported` path."""
    seen = {*reported}
    misfits = []
    for complaint in _meant([_locate(details, value, loc) for details in error.errors(include_url=False)], seen):
        misfit = _misfit(complaint)
        if complaint.details["type"].endswith(("too_short", "_type")) and _any_below(misfit.loc, seen):
            continue  # of a tuple's items pydantic counts only those that are right; a union it judges as a whole
        if not any(misfit.loc[:length] in seen for length in range(len(misfit.loc) + 1)):
            misfits.append(misfit)
            seen.add(misfit.loc)
    return misfits


class _Complaint(NamedTuple):
    """What pydantic says, and where. `branch` is the outermost union's alternative that it speaks of, if any."""

    details: ErrorDetails
    loc: Loc
    at_key: bool
    union: Loc = ()
    branch: str | int | None = None


def _meant(complaints: list[_Complaint], reported: set[Loc]) -> list[_Complaint]:
    """Of each union only what is said about the alternative that nearly fitted; nothing where it was judged before."""
    branches: dict[Loc, Counter[str | int]] = {}
    for complaint in complaints:
        if complaint.branch is not None:
            branches.setdefault(complaint.union, Counter())[complaint.branch] += 1
    meant = {union: _fewest(counted) for union, counted in branches.items() if len(counted) > 1}
    judged = {union for union in meant if _any_below(union, reported)}
    return [
        complaint
        for complaint in complaints
        if not (complaint.details["type"] in _NO_BRANCH and _any_below(complaint.loc, reported))
        and (complaint.branch is None or complaint.union not in judged)
        and (complaint.branch is None or meant.get(complaint.union, complaint.branch) == complaint.branch)
    ]


def _fewest(counted: Counter[str | int]) -> str | int:
    return min(counted, key=counted.__getitem__)


def _any_below(loc: Loc, reported: set[Loc]) -> bool:
    return any(other[: len(loc)] == loc for other in reported)


def _locate(details: ErrorDetails, value: Any, loc: Loc) -> _Complaint:
    """pydantic's path is one into the value, but with the names of unions' branches, `[key]`, and what is missing."""
    path = details["loc"]
    at_key = path[-1:] == ("[key]",)
    union: Loc = ()
    branch = None
    for step in path[:-1] if at_key or details["type"] == "missing" else path:
        if _holds(value, step):
            value = value[step]
            loc = (*loc, step)
        elif branch is None:
            union, branch = loc, step
    return _Complaint(details, loc, at_key, union, branch)


def _holds(value: Any, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _misfit(complaint: _Complaint) -> Misfit:
    details, loc, at_key, *_ = complaint
    context = details.get("ctx", {})
    value = details["input"]
    if details["type"] in ("value_error", "assertion_error"):
        return _from_validator(context["error"], value, loc)
    if details["type"] == "missing":
        loc = (*loc, details["loc"][-1])
        return Misfit(loc, f"{path_text(loc)} is missing", at_key=True)
    expected = _EXPECTED.get(details["type"], "").format(**context) or details["msg"].removeprefix(_INPUT_SHOULD_BE)
    if details["type"] == "literal_error":
        expected = expected.replace("'", "`")
    if at_key:
        return Misfit(loc, f"the key {path_text(loc[-1:])} does not fit", expected, at_key=True)
    if details["type"] in ("too_short", "too_long"):
        number = context["actual_length"]
        return Misfit(loc, f"{path_text(loc)} has {number} item{'' if number == 1 else 's'}", expected)
    return Misfit(loc, f"{path_text(loc)} {is_what(value)}", expected)


def _from_validator(error: Exception, value: Any, loc: Loc) -> Misfit:
    expected, near = "", ""
    if isinstance(error, Wrong):
        expected, near = error.expected, error.nearest
        for step in error.at:
            loc = (*loc, step)
            value = value[step] if _holds(value, step) else None
    text = f"{path_text(loc)} {is_what(value)}" if isinstance(value, (str, int, float)) else path_text(loc)
    return Misfit(loc, f"{text}: {error}", expected, near)
