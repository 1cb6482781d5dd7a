"""Frozen dataclasses <-> JSON objects of the wire.

Attribute names are snake_case here and camelCase on the wire. A field equal to its default is left out; an unknown
field is ignored; a wrong type is `Malformed` with its path. Types known: str, int, bool, Any, Optional, List, Tuple of
one item type, Dict with text keys, and classes derived from `Wire`.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from typing import Any, Callable, Dict, Iterable, List, Tuple, Type, TypeVar

_T = TypeVar("_T", bound="Wire")
_Read = Callable[[Any, str], Any]
_PLAIN = frozenset((str, int, bool, type(None)))


class Malformed(ValueError):
    """A message that does not have the form its type declares; the text names the field."""


def camel(name: str) -> str:
    """`body_digest` -> `bodyDigest`; a trailing underscore (a Python keyword avoided) is dropped."""
    head, *tail = name.rstrip("_").split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in tail)


class Wire:
    """Base of every wire dataclass. pydantic reads `__pydantic_config__` on the server; nothing here imports it."""

    __pydantic_config__: typing.ClassVar[Dict[str, Any]] = {
        "alias_generator": camel,
        "populate_by_name": True,
        "extra": "forbid",
    }


def described(
    text: str,
    default: Any = dataclasses.MISSING,
    *,
    one_or_many: bool = False,
    octal: bool = False,
    quoted: bool = False,
    json: bool = False,
    pattern: str = "",
) -> Any:
    """A dataclass field with its documentation.

    `one_or_many`: a single text is accepted where the field is a list of texts. `octal`: text of an octal file mode.
    `quoted`: a number or boolean may be quoted, as SSM writes them. `json`: a mapping may be its JSON text, likewise.
    """
    extra: Dict[str, Any] = {}
    if one_or_many:
        extra["x-one-or-many"] = True
    if octal:
        extra["format"] = "octal-mode"
    if quoted:
        extra["x-quoted"] = True
    if json:
        extra["x-json"] = True
    if pattern:
        extra["pattern"] = pattern
    metadata: Dict[str, Any] = {"description": text}
    if extra:
        metadata["json_schema_extra"] = extra
    if isinstance(default, (list, dict)):
        kind = type(default)
        return dataclasses.field(default_factory=kind, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def to_wire(value: Any) -> Any:
    """The JSON form of a Wire instance, or of lists, tuples and dicts of them."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Wire):
        out = {}
        for name, wire_name, default in _layout(_key(type(value))):
            item = getattr(value, name)
            if default is dataclasses.MISSING or item != default:
                out[wire_name] = to_wire(item)
        return out
    if isinstance(value, dict):
        return {key: to_wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in value]
    return value


def from_wire(cls: Type[_T], value: Any, where: str = "$") -> _T:
    """An instance of `cls` from its JSON form. Raises `Malformed`."""
    if not isinstance(value, dict):
        raise Malformed("%s: expected an object for %s" % (where, cls.__name__))
    arguments = {}
    for name, wire_name, default, read in _readers(_key(cls)):
        if wire_name in value:
            arguments[name] = read(value[wire_name], where + "." + wire_name)
        elif default is dataclasses.MISSING:
            raise Malformed("%s: %s lacks %s" % (where, cls.__name__, wire_name))
    return cls(**arguments)


def not_fields(cls: Type[Wire], names: Iterable[str]) -> List[str]:
    """Those of `names` that are no field of `cls` on the wire: what of a `mustUnderstand` is not understood."""
    known = {wire_name for _, wire_name, _ in _layout(_key(cls))}
    return [name for name in names if name not in known]


def _key(cls: Any) -> Any:
    """A class as a cache key (a dataclass type is hashable, which the type checker doubts)."""
    return cls


@functools.lru_cache(maxsize=None)
def _layout(cls: Any) -> Tuple[Tuple[str, str, Any], ...]:
    rows = []
    for item in dataclasses.fields(cls):
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        rows.append((item.name, camel(item.name), default))
    return tuple(rows)


@functools.lru_cache(maxsize=None)
def _readers(cls: Any) -> Tuple[Tuple[str, str, Any, _Read], ...]:
    """The layout of a class, with what reads each field."""
    hints = typing.get_type_hints(cls)
    return tuple((name, wire_name, default, _reader(hints[name])) for name, wire_name, default in _layout(cls))


def _reader(kind: Any) -> _Read:
    """What turns a JSON value into one of this type; it is told where the value stands."""
    if kind is Any:
        return lambda value, _where: value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is None:
        return _plain(kind)
    if origin is typing.Union:
        (inner,) = [_reader(argument) for argument in arguments if argument is not type(None)]
        return lambda value, where: None if value is None else inner(value, where)
    if origin in (list, tuple):
        return _listed(origin, _reader(arguments[0]))
    if origin is dict:
        return _keyed(_reader(arguments[1]))
    raise TypeError("the codec does not know %r" % (kind,))


def _listed(kind: Any, read: _Read) -> _Read:
    def reading(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise Malformed("%s: expected a list" % where)
        return kind(read(item, "%s[%d]" % (where, at)) for at, item in enumerate(value))

    return reading


def _keyed(read: _Read) -> _Read:
    def reading(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise Malformed("%s: expected an object" % where)
        return {key: read(item, where + "." + key) for key, item in value.items()}

    return reading


def _plain(kind: Any) -> _Read:
    if isinstance(kind, type) and issubclass(kind, Wire):
        return functools.partial(from_wire, kind)

    def reading(value: Any, where: str) -> Any:
        if kind is int and isinstance(value, bool):
            raise Malformed("%s: expected int, got bool" % where)
        if isinstance(kind, type) and isinstance(value, kind):
            return value
        raise Malformed("%s: expected %s, got %s" % (where, getattr(kind, "__name__", kind), type(value).__name__))

    return reading
