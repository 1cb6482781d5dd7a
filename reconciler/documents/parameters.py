"""Parameters: what an association gives, as the values that a document's steps are interpolated with."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.core.manifest import Plain
from reconciler.core.manifest.scalar import BOOLEANS
from reconciler.core.problem import Finding, Invalid, nearest
from reconciler.core.typed import Wrong
from reconciler.core.typed.words import is_what
from reconciler.documents.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reconciler.core.manifest import Loc
    from reconciler.core.problem import Place
    from reconciler.documents.model import Parameter

    Where = Callable[[Loc], Place]

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,15})\Z")
_ONE = "one text"


class Declaring(Protocol):
    """A document of any type that takes parameters."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """By name, in the order declared."""


def values(document: Declaring, given: Mapping[str, Sequence[str]], where: Where) -> dict[str, Any]:
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


def doubtful_defaults(document: Declaring) -> Iterator[tuple[str, Wrong]]:
    """Declared parameters whose default the document itself would not take, and why."""
    for name, parameter in document.parameters.items():
        if parameter.default is not None and not stored(parameter.default):
            try:
                _check(parameter, parameter.default)
            except Wrong as wrong:
                yield name, wrong


def stored(value: Any) -> bool:
    """Whether a default is a reference to where the value is kept, as `{{ ssm:name }}`."""
    return isinstance(value, str) and _STORED.match(value) is not None


_STORED = re.compile(r"\s*\{\{[^{}]*\}\}\s*\Z")


def _undeclared(document: Declaring, name: str, where: Where) -> Finding:
    known = document.parameters
    expected = ", ".join(f"`{name}`" for name in known) or "no parameters: the document declares none"
    return Finding(f"the document has no parameter `{name}`", where((name,)), expected, nearest(name, known))


def _value(name: str, parameter: Parameter, given: Sequence[str] | None) -> Any:
    if given is not None:
        value = _reader(parameter.type)(given)
        _check(parameter, value)
    elif parameter.default is None:
        raise Wrong("is required", expected=f"`{name}` under `parameters`")
    else:
        value = parameter.default
    return loose(value) if isinstance(value, str) else value


def loose(text: str) -> str:
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


def _reader(kind: str) -> Callable[[Sequence[str]], Any]:
    return _READ.get(kind) or (_texts if kind.startswith("List<") else _text)


def _check(parameter: Parameter, value: Any) -> None:
    """Raises `Wrong` unless the declaration takes the value."""
    for item in value if isinstance(value, list) and parameter.type != "MapList" else [value]:
        _check_item(parameter, item)
    if isinstance(value, (list, dict)):
        _check_bounds(parameter, len(value), "items", f"has {_counted(len(value), 'item')}")
    elif type(value) is int:
        _check_bounds(parameter, value, "value", f"is `{value}`")


def _check_item(parameter: Parameter, item: Any) -> None:
    allowed = parameter.allowed_values
    if allowed is not None and item not in allowed:
        texts = [value for value in allowed if isinstance(value, str)]
        near = nearest(item, texts) if isinstance(item, str) else ""
        expected = ", ".join(is_what(value).removeprefix("is ") for value in allowed)
        raise Wrong(is_what(item), expected=expected, nearest=near)
    if isinstance(item, str):
        pattern = pattern_of(parameter.allowed_pattern) if parameter.allowed_pattern else None
        if pattern and not pattern.search(item):
            raise Wrong(is_what(item), expected=f"text that matches `{parameter.allowed_pattern}`")
        _check_bounds(parameter, len(item), "chars", f"has {_counted(len(item), 'character')}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _check_bounds(parameter: Parameter, size: int, noun: str, said: str) -> None:
    least, most = getattr(parameter, f"min_{noun}", None), getattr(parameter, f"max_{noun}", None)
    if least is not None and size < least:
        raise Wrong(said, expected=f"at least {least}")
    if most is not None and size > most:
        raise Wrong(said, expected=f"at most {most}")


def pattern_of(pattern: str) -> re.Pattern[str] | None:
    """An `allowedPattern`; None for one of another dialect, which is not checked (and warned about by `lint`)."""
    try:
        return compiled(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
