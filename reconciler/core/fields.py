"""Field types that several kinds share: targets, lengths of time, percentages, JSON that has a canonical form.

Each normalises what people may write, says in its JSON Schema what that is, and raises `Wrong` for anything else.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from agent.contract.canonical import instant
from reconciler.core.problem import nearest
from reconciler.core.resource import NAME_PATTERN
from reconciler.core.select import KEYS, Target, known_key, parse_short
from reconciler.core.typed.markers import Wrong

OURS: dict[str, Any] = {"x-opsctl": True}
"""Marks a field in the schema as opsctl's own, beside those that SSM has under the same name."""

TARGET_EXPECTED = "`tag:KEY=VALUE`, `group:NAME`, a node's name, `*`, or {key, values}"

_NAME = re.compile(NAME_PATTERN)
_NAMING_KEYS = ("InstanceIds", "group", "name")
"""Keys whose values are names, not labels' values."""


def _target(value: Any) -> Target:
    if isinstance(value, Target):
        return value
    short = isinstance(value, str)
    if not short and not (isinstance(value, dict) and "key" in value):
        raise Wrong("no target", expected=TARGET_EXPECTED, at=("key",) if isinstance(value, dict) else ())
    target = parse_short(value) if short else Target(value["key"], tuple(value.get("values", ())))
    if not known_key(target.key):
        near = nearest(target.key, KEYS)
        raise Wrong("no key of a target", expected=TARGET_EXPECTED, nearest=near, at=() if short else ("key",))
    if target.key == "*" and target.values:
        raise Wrong("`*` is every node and takes no values")
    if target.key != "*" and (not target.values or "" in target.values):
        raise Wrong(f"`{target.key}` needs values", expected="at least one, none of them empty")
    for position, name in enumerate(target.values if target.key in _NAMING_KEYS else ()):
        if not _NAME.match(name) and not (target.key == "InstanceIds" and name == "*"):
            raise Wrong("no name", expected=TARGET_EXPECTED, at=() if short else ("values", position))
    return target


TargetField: TypeAlias = Annotated[
    Target,
    PlainValidator(_target),
    PlainSerializer(lambda target: {"key": target.key, "values": list(target.values)}),
    WithJsonSchema(
        {
            "title": "Target",
            "description": "SSM's {key, values}, or short: tag:KEY=VALUE, tag-key=KEY, group:NAME, a node's name, *.",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {
                        "key": {"type": "string", "description": "tag:KEY, tag-key, InstanceIds, name, group or *."},
                        "values": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "Any of them; several targets must all match.",
                        },
                    },
                    "required": ["key"],
                    "additionalProperties": False,
                },
            ],
        }
    ),
]
"""One target in either of its forms."""

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_LENGTH_PATTERN = r"^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
_LENGTH = re.compile(_LENGTH_PATTERN)
SECONDS_EXPECTED = "whole seconds, or a length of time as `30m`, `12h`, `1h30m`"


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _LENGTH.fullmatch(value)
    if not found or not value:
        raise Wrong("no length of time", expected=SECONDS_EXPECTED)
    return sum(int(part[:-1]) * _UNITS[part[-1]] for part in found.groups() if part)


Seconds: TypeAlias = Annotated[
    int,
    Field(ge=1, le=366 * 86_400),
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 366 * 86_400},
                {"type": "string", "pattern": _LENGTH_PATTERN, "minLength": 2},
            ],
            "x-expected": SECONDS_EXPECTED,
        }
    ),
]
"""A length of time in whole seconds; `30m` and the like are accepted."""

INSTANT_EXPECTED = "an instant with its zone, as `2026-12-24T18:00:00Z`"


def _instant(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        raise Wrong("no instant", expected=INSTANT_EXPECTED) from None
    if moment.tzinfo is None:
        raise Wrong("an instant without its zone", expected=INSTANT_EXPECTED)
    return instant(round(moment.timestamp() * 1000))


Instant: TypeAlias = Annotated[
    str,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
            r"(Z|[+-][0-9]{2}:?[0-9]{2})$",
            "x-expected": INSTANT_EXPECTED,
        }
    ),
]
"""A moment, whatever its zone; kept as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""

_PERCENT_PATTERN = r"^([0-9]|[1-9][0-9]|100)%$"


def _percent(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(_PERCENT_PATTERN, value):
        return int(value[:-1])
    return value


Percent: TypeAlias = Annotated[
    int,
    Field(ge=0, le=100),
    BeforeValidator(_percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 100},
                {"type": "string", "pattern": _PERCENT_PATTERN},
            ],
            "x-expected": "a percentage from 0 to 100",
        }
    ),
]
"""A share in whole percent; the sign may be left out."""

_LARGEST = 2**53


def _canonical(value: Any) -> Any:
    _check_canonical(value, ())
    return value


def _check_canonical(value: Any, at: tuple[str | int, ...]) -> None:
    if isinstance(value, float):
        raise Wrong("a number with a fraction has no exact form", expected=f'quotes around it ("{value}")', at=at)
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise Wrong("a whole number beyond 2^53 has no exact form", expected="quotes around it", at=at)
    if isinstance(value, dict):
        for key, item in value.items():
            _check_canonical(item, (*at, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _check_canonical(item, (*at, position))


CanonicalObject: TypeAlias = Annotated[dict[str, Any], AfterValidator(_canonical)]
"""Any JSON object that has a canonical form: no fractions, no huge integers."""
