"""pydantic's complaints as misfits in people's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
}
_INPUT_SHOULD_BE = "Input should be "


def misfits_of(error: ValidationError, value: Any, loc: Loc, reported: Iterable[Loc]) -> list[Misfit]:
    """What pydantic found in `value` (which is at `loc` of its document), without what is below a `reported` path.

    Of several complaints about one value, as the branches of a union make them, the first stands for all.
    """
    seen = {*reported}
    misfits = []
    for details in error.errors(include_url=False):
        where, at_key = _locate(details["loc"], value)
        misfit = _misfit(details, (*loc, *where), at_key)
        if not any(misfit.loc[:length] in seen for length in range(len(misfit.loc) + 1)):
            misfits.append(misfit)
            seen.add(misfit.loc)
    return misfits


def _locate(path: Loc, value: Any) -> tuple[Loc, bool]:
    """pydantic's path as one into `value`, without the names of unions' branches; and whether a key is meant."""
    loc: Loc = ()
    for step in path:
        if _holds(value, step):
            value = value[step]
            loc = (*loc, step)
    return loc, path[-1:] == ("[key]",)


def _holds(value: Any, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _misfit(details: ErrorDetails, loc: Loc, at_key: bool) -> Misfit:
    context = details.get("ctx", {})
    value = details["input"]
    if details["type"] in ("value_error", "assertion_error"):
        return _from_validator(context["error"], value, loc)
    if details["type"] == "missing":
        loc = (*loc, details["loc"][-1])
        return Misfit(loc, f"{path_text(loc)} is missing", at_key=True)
    expected = _EXPECTED.get(details["type"], "").format(**context) or details["msg"].removeprefix(_INPUT_SHOULD_BE)
    if at_key:
        return Misfit(loc, f"the key {path_text(loc[-1:])} does not fit", expected, at_key=True)
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
