"""Scalars as they were written, and what they mean by the YAML 1.2 core schema."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

Tree: TypeAlias = dict[str, Any] | list[Any] | str

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

_DECIMAL = re.compile(r"[-+]?[0-9]{1,4000}\Z")  # Python refuses to parse more than 4300 digits
_BASED = re.compile(r"0o[0-7]{1,4000}\Z|0x[0-9a-fA-F]{1,4000}\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z")
_NOT_A_NUMBER = frozenset({".nan", ".NaN", ".NAN"})


class Plain(str):
    """A scalar written without quotes: its text, which a type may yet read as a boolean, a number or null."""

    __slots__ = ()


def resolve(tree: Tree) -> Any:
    """The value of a tree that no schema gives types to: plain scalars by the YAML 1.2 core schema, the rest as text.

    Gives None, bool, int, float, str, and new lists and dicts of these. Keys stay text. Floats, infinities and
    integers of any size may come out: whoever needs canonical JSON refuses them.
    """
    if isinstance(tree, dict):
        return {key: resolve(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [resolve(item) for item in tree]
    return _value(tree) if isinstance(tree, Plain) else tree


def _value(text: Plain) -> bool | int | float | str | None:
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if _DECIMAL.match(text):
        return int(text)
    if _BASED.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    if _INFINITY.match(text):
        return float(text.replace(".", ""))
    if text in _NOT_A_NUMBER:
        return float("nan")
    return str(text)
