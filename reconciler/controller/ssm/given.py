"""What a call is given: read as the type that it has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Finding, Invalid, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 50
"""Entries of a list that does not say how many it may have."""


def text(given: Mapping[str, Any], name: str) -> str:
    """A text that has to be there. Raises `Invalid`."""
    value = given.get(name)
    if value in (None, ""):
        raise Invalid((Finding(f"`{name}` is missing", Place(name), "a text"),))
    return str(value)


def last(given: Mapping[str, Any], name: str) -> str:
    """A name that may be an ARN, of which the last part counts. Raises `Invalid`."""
    return text(given, name).rpartition("/")[2]


def texts(given: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts, empty where it is absent; one text is a list of one."""
    value = given.get(name) or []
    return [str(one) for one in (value if isinstance(value, list) else [value])]


def flag(given: Mapping[str, Any], name: str) -> bool:
    """A boolean, false where it is absent."""
    return str(given.get(name, "")).lower() == "true"


def most(given: Mapping[str, Any]) -> int:
    """`MaxResults`."""
    value = str(given.get("MaxResults") or MOST)
    if not value.isdecimal() or not 1 <= int(value) <= 1000:
        raise Invalid((Finding(f"`MaxResults` is `{value}`", Place("MaxResults"), "a number from 1 to 1000"),))
    return int(value)


def filters(given: Mapping[str, Any], name: str) -> list[tuple[str, list[str]]]:
    """Filters by key, in each of the forms that SSM has: `Key` and `Values`, `key` and `valueSet`."""
    found = []
    for one in given.get(name) or []:
        folded = {key.lower(): value for key, value in one.items()}
        values = folded.get("values", folded.get("valueset", folded.get("value", [])))
        found.append((str(folded.get("key", "")), [str(v) for v in (values if isinstance(values, list) else [values])]))
    return found


def unknown_filter(key: str, known: str) -> Invalid:
    """The error of a filter that is not there."""
    return Invalid((Finding(f"there is no filter `{key}`", Place("Filters"), known),))
