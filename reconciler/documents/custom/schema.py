"""JSON Schema (draft 2020-12) as manifests have it: what is wrong with one, and what it says of a step's inputs.

References lead nowhere but into the schema itself: nothing is fetched. The library is imported when a step of a
repository's own is met, for most repositories have none and it takes as long as all else that a command imports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.core.manifest import resolve
from reconciler.core.problem import Finding, nearest
from reconciler.core.typed.words import is_what, one_of, path_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.exceptions import SchemaError, ValidationError

    from reconciler.core.manifest import Loc, Places, Tree


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema of inputs: `content` is what it says."""

    content: Any

    @property
    def properties(self) -> dict[str, Any]:
        """The properties that it knows at its top."""
        found = self.content.get("properties") if isinstance(self.content, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def required(self) -> list[str]:
        """Those that have to be given."""
        found = self.content.get("required") if isinstance(self.content, dict) else None
        return found if isinstance(found, list) else []


def flaws(schema: Schema, places: Places, loc: Loc) -> Iterator[Finding]:
    """What is wrong with a schema itself, wherever inputs are."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(schema.content, dict):
        yield Finding(f"{path_text(loc)} {is_what(schema.content)}", places.of(loc), "a JSON Schema, a mapping")
        return
    try:
        Draft202012Validator.check_schema(schema.content)
    except SchemaError as error:
        where = (*loc, *error.absolute_path)
        yield Finding(f"{path_text(where)} is no JSON Schema: {_short(error)}", places.of(where))
        return
    if schema.content.get("type") != "object":
        yield Finding("the schema is not one of an object", places.of(loc, key=True), "`type: object`")
    for below, keyword, value in _keywords(schema.content, loc):
        if keyword == "$ref" and not isinstance(value, str):
            continue
        if keyword == "$ref" and not value.startswith("#"):
            message = f"{path_text(below)} leads out of the schema, and nothing is fetched"
            yield Finding(message, places.of(below), "`#/$defs/NAME`")
        elif keyword == "$ref" and not _leads(value, schema.content):
            yield Finding(f"{path_text(below)} is `{value}`, which the schema does not have", places.of(below))
        elif keyword == "pattern" and (why := _no_pattern(value)):
            yield Finding(f"{path_text(below)} {is_what(value)}: {why}", places.of(below), "a regular expression")


def typed(schema: Schema, tree: Tree) -> Any:
    """Inputs as values. What the schema wants as text stays the text that it was written as."""
    return _typed(schema.content, tree)


def misfits(schema: Schema, value: Any, places: Places, loc: Loc) -> Iterator[Finding]:
    """What the schema says against inputs that stand at `loc`."""
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = Draft202012Validator(schema.content, registry=Registry())
    try:
        found = [finding for error in validator.iter_errors(value) for finding in _finding(error, places, loc)]
        yield from sorted(dict.fromkeys(found), key=lambda finding: finding.place)
    except Unresolvable as error:
        yield Finding(f"the step's schema refers to `{error.ref}`, which it does not have", places.of(loc, key=True))
    except RecursionError:
        yield Finding("the step's schema goes round in a circle", places.of(loc, key=True))


def _finding(error: ValidationError, places: Places, loc: Loc) -> Iterator[Finding]:
    where = (*loc, *error.absolute_path)
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    said: Any = error.validator_value
    given: Any = error.instance
    known = schema.get("properties", {})
    if error.validator == "required":
        for name in said:
            if name not in given:
                place = places.of(where, key=True)
                yield Finding(f"{path_text((*where, name))} is missing", place, _wanted(known.get(name)))
    elif error.validator == "additionalProperties" and isinstance(given, dict) and said is False:
        patterns = schema.get("patternProperties", {})
        for name in given:
            if name not in known and not any(re.search(pattern, name) for pattern in patterns):
                expected = one_of(sorted(known)) if known else "no properties"
                place = places.of((*where, name), key=True)
                yield Finding(f"unknown field {path_text((*where, name))}", place, expected, nearest(name, known))
    elif error.validator in ("anyOf", "oneOf") and error.context:
        from jsonschema.exceptions import best_match

        inner = best_match(error.context)
        place = places.of((*loc, *inner.absolute_path))
        yield Finding(f"{path_text(where)} fits nothing of what it may be: {_short(inner)}", place)
    else:
        near = nearest(given, _texts(said)) if isinstance(given, str) else ""
        expected = _wanted({str(error.validator): said})
        message = f"{path_text(where)} {is_what(given)}"
        yield Finding(message if expected else f"{message}: {_short(error)}", places.of(where), expected, near)


def _wanted(schema: Any) -> str:
    """What one schema takes, for people; empty where that takes more words."""
    if not isinstance(schema, dict):
        return ""
    if "const" in schema:
        return f"`{schema['const']}`"
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return one_of(map(str, schema["enum"]))
    for word, said in _BOUNDS.items():
        if word in schema:
            return said.format(schema[word])
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return " or ".join(_KINDS[kind] for kind in kinds if kind in _KINDS)


_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}
_BOUNDS = {
    "pattern": "text that matches `{}`",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "multipleOf": "a multiple of {}",
}


def _typed(schema: Any, tree: Tree) -> Any:
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(tree, dict):
        return {name: _typed(_of_property(schema, name), item) for name, item in tree.items()}
    if isinstance(tree, list):
        return [_typed(schema.get("items"), item) for item in tree]
    if isinstance(tree, str):
        return str(tree) if schema.get("type") == "string" else resolve(tree)
    return tree


def _of_property(schema: dict[str, Any], name: str) -> Any:
    """The schema of one property, as far as that is plain to see."""
    if name in schema.get("properties", {}):
        return schema["properties"][name]
    for pattern, found in schema.get("patternProperties", {}).items():
        if re.search(pattern, name):
            return found
    return schema.get("additionalProperties")


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _short(error: SchemaError | ValidationError) -> str:
    return error.message if len(error.message) <= 200 else error.message[:197] + "..."


def _keywords(schema: Any, loc: Loc) -> Iterator[tuple[Loc, str, Any]]:
    """Every key of a schema with its value, and where it stands."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            yield (*loc, name), name, value
            yield from _keywords(value, (*loc, name))
    elif isinstance(schema, list):
        for position, item in enumerate(schema):
            yield from _keywords(item, (*loc, position))


def _leads(reference: str, content: Any) -> bool:
    """Whether a reference into the schema leads somewhere; those by a name other than a path are looked up later."""
    if not reference.startswith("#/"):
        return True
    for part in reference[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        elif isinstance(content, dict) and name in content:
            content = content[name]
        else:
            return False
    return True


def _no_pattern(pattern: Any) -> str:
    if not isinstance(pattern, str):
        return ""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return ""
