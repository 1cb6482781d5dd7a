"""Conditions of `aws:branch` and of while-loops: how they are written, and whether they hold.

{Variable: "{{ step.Platform }}", StringEquals: Linux}
{And: [...]}  {Or: [...]}  {Not: {...}}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.core.manifest import resolve
from reconciler.core.problem import Finding, nearest
from reconciler.core.typed.words import is_what, one_of, path_text
from reconciler.documents.runbook.references import written

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.manifest import Loc, Places, Tree


@dataclass(frozen=True, slots=True)
class Comparison:
    """`variable` compared with `value` by `operator`; both may hold references."""

    variable: Any
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class And:
    """All hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The other one does not hold."""

    condition: Condition


Condition = Comparison | And | Or | Not


class Verdict(NamedTuple):
    """Whether a condition holds, and the sentence that says what was compared."""

    holds: bool
    why: str


class Incomparable(Exception):
    """A value that the operator cannot be applied to; the text says which."""


def verdict(condition: Condition, interpolated: Callable[[Any], Any]) -> Verdict:
    """Judge a condition; `interpolated` puts values in place of references. Raises `Incomparable`."""
    if isinstance(condition, Comparison):
        variable, value = interpolated(condition.variable), interpolated(condition.value)
        holds = OPERATORS[condition.operator](variable, value)
        relation = condition.operator if holds else f"not {condition.operator}"
        return Verdict(holds, f"{shown(variable)} {relation} {shown(value)}")
    if isinstance(condition, Not):
        inner = verdict(condition.condition, interpolated)
        return Verdict(not inner.holds, inner.why)
    verdicts = []
    for one in condition.conditions:
        verdicts.append(verdict(one, interpolated))
        if verdicts[-1].holds is isinstance(condition, Or):
            return verdicts[-1]
    return Verdict(isinstance(condition, And), " and ".join(judged.why for judged in verdicts))


def shown(value: Any) -> str:
    """A value for people, cut where it is long."""
    text = written(value)
    return f"`{text[:60]}...`" if len(text) > 60 else f"`{text}`"


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)) or value is None:
        raise Incomparable(f"{shown(value)} is no text")
    return written(value)


def _number(value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise Incomparable(f"{shown(value)} is no number") from None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise Incomparable(f"{shown(value)} is neither true nor false")


def _contains(variable: Any, value: Any) -> bool:
    """A text in a text, or an item in a list."""
    return value in variable if isinstance(variable, list) else _text(value) in _text(variable)


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "StringEquals": lambda variable, value: _text(variable) == _text(value),
    "EqualsIgnoreCase": lambda variable, value: _text(variable).casefold() == _text(value).casefold(),
    "StartsWith": lambda variable, value: _text(variable).startswith(_text(value)),
    "EndsWith": lambda variable, value: _text(variable).endswith(_text(value)),
    "Contains": _contains,
    "NumericEquals": lambda variable, value: _number(variable) == _number(value),
    "NumericGreater": lambda variable, value: _number(variable) > _number(value),
    "NumericLesser": lambda variable, value: _number(variable) < _number(value),
    "NumericGreaterOrEquals": lambda variable, value: _number(variable) >= _number(value),
    "NumericLesserOrEquals": lambda variable, value: _number(variable) <= _number(value),
    "BooleanEquals": lambda variable, value: _boolean(variable) == _boolean(value),
}


def read(tree: Tree, places: Places, loc: Loc, beside: tuple[str, ...] = ()) -> tuple[Condition | None, list[Finding]]:
    """A condition as written, None where there are findings. `beside` names fields that stand with it."""
    if not isinstance(tree, dict):
        return None, [Finding(f"{path_text(loc)} {is_what(tree)}", places.of(loc), "a condition")]
    findings = [_strange(name, places, (*loc, name)) for name in tree if name not in (*_WORDS, *beside)]
    chosen = [name for name in tree if name in _CHOOSING]
    if findings:
        return None, findings
    if len(chosen) != 1:
        found = f"has {len(chosen)} operators" if chosen else "has no operator"
        return None, [Finding(f"{path_text(loc)} {found}", places.of(loc, key=True), f"one: {one_of(_CHOOSING)}")]
    name = chosen[0]
    where = (*loc, name)
    if name in OPERATORS:
        return _comparison(tree, name, places, loc)
    if "Variable" in tree:
        message = f"{path_text((*loc, 'Variable'))} stands beside `{name}`"
        return None, [Finding(message, places.of((*loc, "Variable"), key=True), f"it within `{name}`")]
    if name == "Not":
        inner, findings = read(tree[name], places, where)
        return (Not(inner) if inner else None), findings
    return _several(And if name == "And" else Or, tree[name], places, where)


_COMPOSED = ("And", "Or", "Not")
_CHOOSING = (*OPERATORS, *_COMPOSED)
_WORDS = (*_CHOOSING, "Variable")
_OPERANDS = {"Numeric": "a number", "Boolean": "true or false"}


def _strange(name: str, places: Places, loc: Loc) -> Finding:
    near = nearest(name, _WORDS)
    return Finding(f"there is no operator {path_text(loc)}", places.of(loc, key=True), one_of(_CHOOSING), near)


def _comparison(
    tree: dict[str, Tree], operator: str, places: Places, loc: Loc
) -> tuple[Condition | None, list[Finding]]:
    if "Variable" not in tree:
        place = places.of((*loc, operator), key=True)
        message = f"{path_text((*loc, 'Variable'))} is missing"
        return None, [Finding(message, place, f"what `{operator}` is to look at")]
    value = resolve(tree[operator])
    if "{{" not in str(value):
        try:
            OPERATORS[operator](value, value)
        except Incomparable:
            where = (*loc, operator)
            expected = next((words for start, words in _OPERANDS.items() if operator.startswith(start)), "text")
            return None, [Finding(f"{path_text(where)} {is_what(tree[operator])}", places.of(where), expected)]
    return Comparison(resolve(tree["Variable"]), operator, value), []


def _several(
    kind: type[And] | type[Or], tree: Tree, places: Places, loc: Loc
) -> tuple[Condition | None, list[Finding]]:
    if not isinstance(tree, list) or not tree:
        return None, [Finding(f"{path_text(loc)} {is_what(tree)}", places.of(loc), "a list of conditions")]
    conditions, findings = [], []
    for position, item in enumerate(tree):
        condition, found = read(item, places, (*loc, position))
        findings += found
        if condition is not None:
            conditions.append(condition)
    return (None if findings else kind(tuple(conditions))), findings
