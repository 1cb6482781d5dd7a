"""Shapes: what a JSON Schema takes, sorted by the kind of value, so that coercing needs no search.

Reads the schemas that pydantic writes (`type`, `enum`, `const`, `anyOf`, `oneOf`, `$ref`, objects and arrays; the
alternatives of a `oneOf` are told apart by the key that has a constant or a pattern in each) and the extensions named
in the package's docstring. What it does not know takes anything: pydantic has the last word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

_STRUCTURE = frozenset({"$ref", "anyOf", "oneOf", "allOf", "$defs", "default", "title", "description", "examples"})
_CHOICES = re.compile(r"\^\(([\w:.-]+(?:\|[\w:.-]+)*)\)\$")


@dataclass(frozen=True, slots=True)
class TextRule:
    """Which texts are taken. No `choices` means any."""

    choices: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    octal: bool = False


@dataclass(slots=True)
class Fields:
    """Which keys a mapping takes. `others` is the shape of every other key's value, None where there are no others."""

    known: dict[str, Shape]
    required: tuple[str, ...]
    others: Shape | None


@dataclass(slots=True)
class Tagged:
    """Mappings told apart by the value of one key; `others` are those of values that match a pattern instead."""

    key: str
    variants: dict[str, Fields]
    others: list[tuple[re.Pattern[str], Fields]]
    expected: str = ""

    def fields(self, tag: str) -> Fields | None:
        """What a mapping with that value takes; None where there is no such mapping."""
        found = self.variants.get(tag)
        return found or next((fields for pattern, fields in self.others if pattern.search(tag)), None)


@dataclass(slots=True)
class Shape:
    """What is taken, one slot for each kind of value. `expected` replaces the words that errors make of the slots."""

    anything: bool = False
    subtree: bool = False
    null: bool = False
    boolean: bool = False
    integer: bool = False
    number: bool = False
    quoted: bool = False
    text: TextRule | None = None
    items: Shape | None = None
    one_or_many: bool = False
    json: bool = False
    mappings: list[Fields] = field(default_factory=list)
    tagged: Tagged | None = None
    expected: str = ""


def shape_of(schema: Schema) -> Shape:
    """The shape of a whole schema, its `$defs` included."""
    return _Compiler(schema.get("$defs", {})).shape(schema)


class _Compiler:
    """One schema's definitions, each compiled once and known before it is complete: types may contain themselves."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self._shapes: dict[str, Shape] = {}
        self._mappings: dict[str, Fields] = {}

    def shape(self, schema: Schema | bool) -> Shape:
        if isinstance(schema, bool):
            return Shape(anything=schema)
        name = _reference(schema) if len(schema) == 1 else ""
        if name in self._shapes:
            return self._shapes[name]
        shape = Shape()
        if name:
            self._shapes[name] = shape
        self._add(shape, schema)
        return shape

    def _add(self, shape: Shape, schema: Schema) -> None:
        """Let `shape` take what `schema` takes, besides what it takes already."""
        shape.expected = shape.expected or schema.get("x-expected", "")
        if name := _reference(schema):
            if self._definitions[name].get("type") == "object":
                shape.mappings.append(self._named_mapping(name))
            else:
                self._add(shape, {**_beside(schema), **self._definitions[name]})
        elif tagged := self._tagged(schema):
            shape.tagged = tagged
        elif branches := _branches(schema):
            for branch in branches:
                self._add(shape, branch)
        elif "enum" in schema or "const" in schema:
            _add_values(shape, schema.get("enum", [schema.get("const")]))
        else:
            kinds = schema.get("type", "anything")
            for kind in [kinds] if isinstance(kinds, str) else kinds:
                self._add_kind(shape, kind, schema)

    def _add_kind(self, shape: Shape, kind: str, schema: Schema) -> None:
        shape.quoted = shape.quoted or bool(schema.get("x-quoted"))
        if kind == "null":
            shape.null = True
        elif kind == "boolean":
            shape.boolean = True
        elif kind == "integer":
            shape.integer = True
        elif kind == "number":
            shape.integer = shape.number = True
        elif kind == "string":
            shape.text = _either(shape.text, _text_rule(schema))
        elif kind == "array":
            shape.items = self.shape(schema.get("items", True))
            shape.one_or_many = bool(schema.get("x-one-or-many"))
        elif kind == "object":
            shape.json = shape.json or bool(schema.get("x-json"))
            shape.mappings.append(self._mapping(schema))
        else:
            shape.subtree = bool(schema.get("x-subtree"))
            shape.anything = True

    def _named_mapping(self, name: str) -> Fields:
        if name not in self._mappings:
            self._mappings[name] = fields = Fields({}, (), None)
            self._fill(fields, self._definitions[name])
        return self._mappings[name]

    def _mapping(self, schema: Schema) -> Fields:
        fields = Fields({}, (), None)
        self._fill(fields, schema)
        return fields

    def _fill(self, fields: Fields, schema: Schema) -> None:
        fields.required = tuple(schema.get("required", ()))
        others = schema.get("additionalProperties", True)
        for pattern in schema.get("patternProperties", {}).values():  # pydantic's form of keys with a pattern
            others = pattern
        fields.others = None if others is False else self.shape(others)
        for name, part in schema.get("properties", {}).items():
            fields.known[name] = self.shape(part)

    def _tagged(self, schema: Schema) -> Tagged | None:
        names = [_reference(branch) for branch in schema.get("oneOf", ())]
        parts = [self._definitions[name].get("properties", {}) if name else {} for name in names]
        keys = [key for key in (parts[0] if parts else ()) if all(_tells_apart(part.get(key, {})) for part in parts)]
        if not keys:
            return None
        tagged = Tagged(keys[0], {}, [], schema.get("x-expected", ""))
        for name, part in zip(names, parts, strict=True):
            tag, fields = part[keys[0]], self._named_mapping(name)
            if "pattern" in tag:
                tagged.others.append((re.compile(tag["pattern"]), fields))
            else:
                tagged.variants |= dict.fromkeys(tag.get("enum", [tag.get("const")]), fields)
        return tagged


def _tells_apart(part: Schema) -> bool:
    return bool(part.keys() & {"const", "enum", "pattern"}) and part.get("type") == "string"


def _reference(schema: Schema) -> str:
    return _name(schema.get("$ref", ""))


def _name(reference: str) -> str:
    return reference.removeprefix("#/$defs/")


def _branches(schema: Schema) -> list[Schema]:
    """The alternatives of a schema, each with what is said beside them (a pattern beside `anyOf` string or null)."""
    found = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or ()
    return [{**_beside(schema), **branch} for branch in found]


def _beside(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in _STRUCTURE}


def _add_values(shape: Shape, values: list[Any]) -> None:
    texts = tuple(value for value in values if isinstance(value, str))
    if texts:
        shape.text = _either(shape.text, TextRule(texts))
    shape.null = shape.null or None in values
    shape.boolean = shape.boolean or any(isinstance(value, bool) for value in values)
    shape.integer = shape.integer or any(type(value) is int for value in values)


def _text_rule(schema: Schema) -> TextRule:
    pattern = schema.get("pattern", "")
    if listed := _CHOICES.fullmatch(pattern):
        return TextRule(tuple(listed[1].split("|")))
    return TextRule((), re.compile(pattern) if pattern else None, schema.get("format") == "octal-mode")


def _either(one: TextRule | None, other: TextRule) -> TextRule:
    """A rule that takes what one or the other takes, or more: where both restrict, pydantic tells them apart."""
    if one is None or one == other:
        return other
    return TextRule(one.choices + other.choices if one.choices and other.choices else ())
