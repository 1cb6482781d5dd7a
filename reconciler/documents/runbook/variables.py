"""Values and their types: what a variable, an output or an iterator may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Finding
from reconciler.core.typed.words import is_what, path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.core.manifest import Places
    from reconciler.documents.runbook.actions import OutputType
    from reconciler.documents.runbook.model import AutomationDocument

NOTHING: dict[OutputType, Any] = {
    "String": "",
    "StringList": [],
    "Integer": 0,
    "Boolean": False,
    "StringMap": {},
    "MapList": [],
}
"""What a variable without a default holds at first."""

_WORDS: dict[OutputType, str] = {
    "String": "text",
    "StringList": "a list of texts",
    "Integer": "a whole number",
    "Boolean": "true or false",
    "StringMap": "a mapping",
    "MapList": "a list of mappings",
}

_FITS: dict[OutputType, Callable[[Any], bool]] = {
    "String": lambda value: isinstance(value, str),
    "StringList": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "Integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Boolean": lambda value: isinstance(value, bool),
    "StringMap": lambda value: isinstance(value, dict),
    "MapList": lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
}


def fits(kind: OutputType, value: Any) -> bool:
    """Whether a value is of the type; nothing is converted."""
    return _FITS[kind](value)


def words(kind: OutputType) -> str:
    """What a type takes, for people."""
    return _WORDS[kind]


def strange(content: AutomationDocument, places: Places) -> Iterator[Finding]:
    """Variables whose default is not of their type."""
    for name, variable in content.variables.items():
        if variable.default is not None and not fits(variable.type, variable.default):
            loc = ("variables", name, "default")
            yield Finding(f"{path_text(loc)} {is_what(variable.default)}", places.of(loc), words(variable.type))
