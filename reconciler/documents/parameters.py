"""Parameters: what an association gives, as the values that a document's steps are interpolated with."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from reconciler.core.manifest import Plain
from reconciler.core.manifest.scalar import BOOLEANS
from reconciler.core.problem import Finding, Invalid, nearest
from reconciler.core.typed import Wrong
from reconciler.documents.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reconciler.core.manifest import Loc
    from reconciler.core.problem import Place
    from reconciler.documents.model import CommandDocument, Parameter

    Where = Callable[[Loc], Place]

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,15})\Z")
_ONE = "one text"


def values(document: CommandDocument, given: Mapping[str, Sequence[str]], where: Where) -> dict[str, Any]:
    """The value of every declared parameter. `where` tells the place of a given one, by its path below `parameters`.

    Raises `Invalid` for unknown and missing ones and for values that the document does not take.
    """
    findings = [_undeclared(document, name, where) for name in given if name not in document.parameters]
    found: dict[str, Any] = {}
    for name, parameter in document.parameters.items():
        try:
            found[name] = _value(name, parameter, given.get(name))
        except Wrong as wrong:
            at = (name,) if name in given else ()
            findings.append(Finding(f"parameter `{name}`: {wrong.message}", where(at), wrong.expected, wrong.nearest))
    if findings:
        raise Invalid(tuple(findings))
    return found


def doubtful_defaults(document: CommandDocument) -> Iterator[tuple[str, Wrong]]:
    """Declared parameters whose default the document itself would not take, and why."""
    for name, parameter in document.parameters.items():
        if parameter.default is not None:
            try:
                _check(parameter, parameter.default)
            except Wrong as wrong:
                yield name, wrong


def _undeclared(document: CommandDocument, name: str, where: Where) -> Finding:
    known = document.parameters
    expected = ", ".join(f"`{name}`" for name in known) or "no parameters: the document declares none"
    return Finding(f"the document has no parameter `{name}`", where((name,)), expected, nearest(name, known))


def _value(name: str, parameter: Parameter, given: Sequence[str] | None) -> Any:
    if given is not None:
        value = _READ[parameter.type](given)
        _check(parameter, value)
    elif parameter.default is None:
        raise Wrong("is required", expected=f"`{name}` under `parameters`")
    else:
        value = parameter.default
    return _loose(value) if isinstance(value, str) else value


def _loose(text: str) -> str:
    """A text that a field of whole numbers or booleans may still take, for SSM's parameters are mostly Strings."""
    return Plain(text) if text in BOOLEANS or _INTEGER.match(text) else text


def _text(given: Sequence[str]) -> str:
    if len(given) != 1:
        raise Wrong(f"has {len(given)} values", expected=_ONE)
    return given[0]


def _texts(given: Sequence[str]) -> list[str]:
    return list(given)


def _integer(given: Sequence[str]) -> int:
    text = _text(given)
    if not _INTEGER.match(text):
        raise Wrong(f"is `{text}`", expected="a whole decimal number")
    return int(text)


def _boolean(given: Sequence[str]) -> bool:
    text = _text(given)
    if text not in BOOLEANS:
        raise Wrong(f"is `{text}`", expected="true or false")
    return BOOLEANS[text]


def _json_object(given: Sequence[str]) -> Any:
    return _json(_text(given), dict, "a JSON object as text")


def _json_objects(given: Sequence[str]) -> Any:
    if len(given) == 1 and given[0].lstrip().startswith("["):
        return _json(given[0], list, "a JSON list of objects as text")
    return [_json(text, dict, "JSON objects as texts") for text in given]


def _json(text: str, kind: type, expected: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair has no bytes
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise Wrong("is not that", expected=expected)
    return value


def _no_number(name: str) -> None:
    raise ValueError(name)


_READ: dict[str, Callable[[Sequence[str]], Any]] = {
    "String": _text,
    "StringList": _texts,
    "Integer": _integer,
    "Boolean": _boolean,
    "StringMap": _json_object,
    "MapList": _json_objects,
}


def _check(parameter: Parameter, value: Any) -> None:
    """Raises `Wrong` unless the declaration takes the value."""
    items = value if isinstance(value, list) and parameter.type == "StringList" else [value]
    allowed = getattr(parameter, "allowed_values", None)
    pattern = getattr(parameter, "allowed_pattern", None)
    compiled = pattern_of(pattern) if pattern else None
    for item in items:
        if allowed is not None and item not in allowed:
            near = nearest(item, allowed) if isinstance(item, str) else ""
            raise Wrong(f"is `{item}`", expected=", ".join(f"`{value}`" for value in allowed), nearest=near)
        if compiled and not compiled.search(item):
            raise Wrong(f"is `{item}`", expected=f"text that matches `{pattern}`")
    _check_size(value, parameter, "chars", "characters")
    if not isinstance(value, str):
        _check_size(value, parameter, "items", "items")


def _check_size(value: Any, parameter: Parameter, noun: str, words: str) -> None:
    least, most = getattr(parameter, f"min_{noun}", None), getattr(parameter, f"max_{noun}", None)
    if least is not None and len(value) < least:
        raise Wrong(f"has {len(value)} {words}", expected=f"at least {least}")
    if most is not None and len(value) > most:
        raise Wrong(f"has {len(value)} {words}", expected=f"at most {most}")


def pattern_of(pattern: str) -> re.Pattern[str] | None:
    """An `allowedPattern`; None for one of another dialect, which is not checked (and warned about by `lint`)."""
    try:
        return compiled(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
