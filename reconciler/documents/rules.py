"""What an action takes, as a table says it, and what is wrong with inputs that may still hold references."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reconciler.core.manifest import Plain
from reconciler.core.manifest.scalar import BOOLEANS, NULLS
from reconciler.core.problem import Finding, nearest
from reconciler.core.typed.words import is_what, one_of, path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.core.manifest import Loc, Places, Tree

Sort = Literal["text", "texts", "integer", "boolean", "mapping", "mappings", "anything"]
INTEGER = re.compile(r"[-+]?[0-9]{1,16}\Z")
"""How a whole number is written."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its sort, and the only texts taken where there are such. `instead` is another name that SSM takes."""

    sort: Sort
    required: bool = False
    choices: tuple[str, ...] = ()
    instead: str = ""


def needed(sort: Sort, *choices: str) -> Input:
    """An input that has to be given."""
    return Input(sort, required=True, choices=choices)


_EXPECTED = {
    "text": "text",
    "texts": "a list of texts",
    "integer": "a whole decimal number",
    "boolean": "true or false",
    "mapping": "a mapping",
    "mappings": "a list of mappings",
}


def misfits(
    rules: Mapping[str, Input], inputs: dict[str, Tree], places: Places, where: Loc, *, more: bool = False
) -> Iterator[Finding]:
    """Findings of the inputs at `where`. With `more`, the action takes any others too."""
    for name, tree in inputs.items():
        rule = rules.get(name) or next((rule for rule in rules.values() if rule.instead == name), None)
        if rule is not None:
            yield from _misfit(rule, tree, places, (*where, name))
        elif not more:
            expected = one_of(sorted(rules)) if rules else "no inputs"
            message = f"unknown field {path_text((*where, name))}, which SSM ignores"
            yield Finding(message, places.of((*where, name), key=True), expected, nearest(name, rules), "warning")
    for name, rule in rules.items():
        if rule.required and name not in inputs and rule.instead not in inputs:
            place = places.of(where, key=True)
            yield Finding(f"{path_text((*where, name))} is missing", place, _wanted(rule))


def _misfit(rule: Input, tree: Tree, places: Places, loc: Loc) -> Iterator[Finding]:
    if isinstance(tree, str) and "{{" in tree:
        return
    if rule.sort == "anything":
        return
    if not _FITS[rule.sort](tree):
        yield Finding(f"{path_text(loc)} {is_what(tree)}", places.of(loc), _wanted(rule))
    elif rule.choices and tree not in rule.choices:
        near = nearest(str(tree), rule.choices)
        yield Finding(f"{path_text(loc)} {is_what(tree)}", places.of(loc), _wanted(rule), near)
    elif rule.sort in ("texts", "mappings") and isinstance(tree, list):
        item = {"texts": "text", "mappings": "mapping"}[rule.sort]
        for position, value in enumerate(tree):
            if not _FITS[item](value) and not (isinstance(value, str) and "{{" in value):
                where = (*loc, position)
                yield Finding(f"{path_text(where)} {is_what(value)}", places.of(where), _EXPECTED[item])


def _wanted(rule: Input) -> str:
    return one_of(rule.choices) if rule.choices else _EXPECTED.get(rule.sort, "a value")


def _is_text(tree: Tree) -> bool:
    return isinstance(tree, str) and not (isinstance(tree, Plain) and tree in NULLS)


_FITS: dict[str, Callable[[Tree], bool]] = {
    "text": _is_text,
    "texts": lambda tree: isinstance(tree, list) or _is_text(tree),
    "integer": lambda tree: isinstance(tree, str) and bool(INTEGER.match(tree)),
    "boolean": lambda tree: isinstance(tree, str) and tree in BOOLEANS,
    "mapping": lambda tree: isinstance(tree, dict) or tree == "",
    "mappings": lambda tree: isinstance(tree, list),
}
