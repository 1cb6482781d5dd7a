"""Coercion: a tree of source texts -> values of the types that a shape asks for, with every misfit recorded."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.core.manifest import Plain, resolve
from reconciler.core.manifest.scalar import BOOLEANS, NULLS
from reconciler.core.problem import nearest
from reconciler.core.typed.words import is_what, one_of, path_text, wanted

if TYPE_CHECKING:
    from reconciler.core.manifest import Loc
    from reconciler.core.typed.shape import Fields, Shape, Tagged, TextRule

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,15})\Z")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?\Z")
_LARGEST = 2**53
_OCTAL = re.compile(r"(?:0o)?0?([0-7]{3,4})\Z")


class Misfit(NamedTuple):
    """One thing wrong, by its path; `at_key` where the key is meant and not its value."""

    loc: Loc
    message: str
    expected: str = ""
    nearest: str = ""
    at_key: bool = False


class Coercion:
    """One pass over a tree; `misfits` grows. What does not fit is left as it was."""

    def __init__(self) -> None:
        self.misfits: list[Misfit] = []

    def value(self, shape: Shape, tree: Any, loc: Loc) -> Any:
        """`tree` as the shape asks. Besides a reader's tree it may hold what interpolation put in: None, bool, int."""
        if shape.subtree:
            return tree
        if isinstance(tree, str):
            return self._scalar(shape, tree, loc)
        if isinstance(tree, dict):
            return self._mapping(shape, tree, loc)
        if isinstance(tree, list):
            if shape.items:
                return [self.value(shape.items, item, (*loc, position)) for position, item in enumerate(tree)]
            return resolve(tree) if shape.anything else self._misfit(shape, tree, loc)
        return self._made(shape, tree, loc)

    def _scalar(self, shape: Shape, text: str, loc: Loc) -> Any:
        plain = isinstance(text, Plain)
        if plain and shape.null and text in NULLS:
            return None
        if plain or shape.quoted:
            if shape.boolean and text in BOOLEANS:
                return BOOLEANS[text]
            if shape.integer and _INTEGER.match(text) and abs(int(text)) <= _LARGEST:
                return int(text)
            if shape.number and _NUMBER.match(text):
                return float(text)
        if shape.text and not (plain and text == ""):
            return self._text(shape, shape.text, str(text), loc)
        if shape.anything:
            return resolve(text)
        if shape.one_or_many and shape.items and not (plain and text == ""):
            return [self.value(shape.items, text, loc)]
        if shape.json and (mapping := _read_mapping(text)) is not None:
            return self._mapping(shape, mapping, loc)
        return self._misfit(shape, text, loc)

    def _text(self, shape: Shape, rule: TextRule, text: str, loc: Loc) -> str:
        if rule.octal:
            if octal := _OCTAL.match(text):
                return octal[1].zfill(4)
            self._misfit(shape, text, loc)
        elif rule.choices and text not in rule.choices:
            self._misfit(shape, text, loc, nearest(text, rule.choices))
        elif rule.pattern and not rule.pattern.search(text):
            self._misfit(shape, text, loc)
        return text

    def _made(self, shape: Shape, value: Any, loc: Loc) -> Any:
        """A value that is typed already."""
        if shape.anything or (value is None and shape.null):
            return value
        if isinstance(value, bool):
            fits, text = shape.boolean, "true" if value else "false"
        elif isinstance(value, int):
            fits, text = shape.integer, str(value)
        else:
            fits, text = shape.number and isinstance(value, float), ""
        if fits:
            return value
        if shape.text and text:
            return self._text(shape, shape.text, text, loc)
        return self._misfit(shape, value, loc)

    def _mapping(self, shape: Shape, tree: dict[str, Any], loc: Loc) -> Any:
        if shape.tagged:
            return self._variant(shape.tagged, tree, loc)
        if len(shape.mappings) == 1:
            return self._fields(shape.mappings[0], tree, loc)
        if shape.mappings:
            return self._best(shape.mappings, tree, loc)
        if shape.anything:
            return resolve(tree)
        return self._misfit(shape, tree, loc)

    def _fields(self, fields: Fields, tree: dict[str, Any], loc: Loc) -> dict[str, Any]:
        values = {}
        for key, item in tree.items():
            shape = fields.known.get(key, fields.others)
            if shape is None:
                self._unknown(fields, key, loc)
            else:
                values[key] = self.value(shape, item, (*loc, key))
        for name in fields.required:
            if name not in tree:
                expected = wanted(fields.known[name])
                self.misfits.append(
                    Misfit((*loc, name), f"{path_text((*loc, name))} is missing", expected, at_key=True)
                )
        return values

    def _unknown(self, fields: Fields, key: str, loc: Loc) -> None:
        expected = one_of(sorted(fields.known)) if fields.known else "no fields"
        near = nearest(key, fields.known)
        self.misfits.append(Misfit((*loc, key), f"unknown field {path_text((*loc, key))}", expected, near, at_key=True))

    def _variant(self, tagged: Tagged, tree: dict[str, Any], loc: Loc) -> Any:
        tag_loc = (*loc, tagged.key)
        tag = tree.get(tagged.key)
        fields = tagged.fields(tag) if isinstance(tag, str) else None
        if fields is not None:
            return self._fields(fields, tree, loc)
        expected = tagged.expected or one_of(sorted(tagged.variants))
        if tag is None:
            self.misfits.append(Misfit(tag_loc, f"{path_text(tag_loc)} is missing", expected, at_key=True))
        else:
            near = nearest(tag, tagged.variants) if isinstance(tag, str) else ""
            self.misfits.append(Misfit(tag_loc, f"{path_text(tag_loc)} {is_what(tag)}", expected, near))
        return tree

    def _best(self, several: list[Fields], tree: dict[str, Any], loc: Loc) -> Any:
        """By the mapping that fits best, for nothing else tells which was meant."""
        best, value = Coercion(), None
        for position, fields in enumerate(several):
            trial = Coercion()
            found = trial._fields(fields, tree, loc)
            if position == 0 or len(trial.misfits) < len(best.misfits):
                best, value = trial, found
        self.misfits += best.misfits
        return value

    def _misfit(self, shape: Shape, value: Any, loc: Loc, near: str = "") -> Any:
        message, expected = f"{path_text(loc)} {is_what(value)}", wanted(shape)
        if type(value) is str and value and not shape.text and (shape.boolean or shape.integer):
            trial = Coercion()
            trial._scalar(shape, Plain(value), loc)
            if not trial.misfits:
                message, expected = f"{path_text(loc)} is quoted, so it is text", f"{expected}, without quotes"
        elif isinstance(value, Plain) and value == "" and shape.text and not shape.text.choices:
            expected += ' ("" for an empty one)'
        self.misfits.append(Misfit(loc, message, expected, near))
        return value


def _read_mapping(text: str) -> dict[str, Any] | None:
    """The mapping that a JSON text is; None for any other text."""
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_number(name: str) -> None:
    raise ValueError(name)
