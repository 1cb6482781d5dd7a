"""The words of errors: names of fields, what a value is, what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.core.manifest import Plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.core.manifest import Loc
    from reconciler.core.typed.shape import Shape

_LONGEST = 60


def path_text(loc: Loc) -> str:
    """`spec.targets[0].key`, in backquotes; the root is `the document`."""
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return f"`{text}`" if text else "the document"


def is_what(value: Any) -> str:
    """The rest of a sentence about a value that does not fit: `is a list`, "is `yes`", `has no value`."""
    if value is None or (isinstance(value, Plain) and value == ""):
        return "has no value"
    if isinstance(value, dict):
        return "is a mapping"
    if isinstance(value, (list, tuple)):
        return "is a list"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text == "":
        return "is empty"
    first, *others = text.splitlines()
    cut = others or len(first) > _LONGEST
    return f"is `{first[:_LONGEST]}`" + ("..." if cut else "")


def one_of(names: Iterable[str]) -> str:
    """`a`, `b` or `c`."""
    *others, last = [f"`{name}`" for name in names]
    return f"{', '.join(others)} or {last}" if others else last


def wanted(shape: Shape) -> str:
    """What a shape takes, for people."""
    if shape.expected:
        return shape.expected
    kinds = []
    if shape.text:
        kinds.append(_wanted_text(shape))
    if shape.boolean:
        kinds.append("true or false")
    if shape.integer:
        kinds.append("a number" if shape.number else "a whole decimal number")
    if shape.items:
        kinds += [wanted(shape.items)] if shape.one_or_many else []
        kinds.append("a list")
    if shape.mappings or shape.tagged:
        kinds.append("a mapping")
    return " or ".join(kinds) or "nothing"


def _wanted_text(shape: Shape) -> str:
    assert shape.text is not None
    if shape.text.octal:
        return "an octal mode of 3 or 4 digits, as 0644"
    if shape.text.choices:
        return one_of(filter(None, shape.text.choices))
    if shape.text.pattern:
        return f"text that matches `{shape.text.pattern.pattern}`"
    return "text"
