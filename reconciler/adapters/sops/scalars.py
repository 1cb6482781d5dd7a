"""What an unquoted scalar of YAML is to go-yaml 3, which is what SOPS hashes: not quite what it is to others."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from reconciler.adapters.sops.values import (
    LARGEST_INT,
    SMALLEST_INT,
    Value,
    of_bool,
    of_float,
    of_int,
    of_text,
)

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SPECIAL = {
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((sign + name for sign in ("", "+") for name in (".inf", ".Inf", ".INF")), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_NUMBER_BEGINS = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,30})\Z")
_BASED = re.compile(r"[+-]?0(?:[xX][0-9a-fA-F]{1,30}|[bB][01]{1,70}|[oO]?[0-7]{1,40})\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_TIME = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:(?P<sign>[Tt ])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2}):(?P<second>[0-9]{1,2})"
    r"(?:[.,](?P<fraction>[0-9]{1,9})[0-9]*)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?\Z"
)


class TooLarge(ValueError):
    """A number that SOPS has no type for."""


def resolve(text: str) -> Value | None:
    """The value of a scalar written without quotes; None is null. Raises `TooLarge`."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return of_bool(_BOOLEANS[text])
    if text[0] not in _NUMBER_BEGINS:
        return of_text(text)
    if text in _SPECIAL:
        return of_float(_SPECIAL[text])
    return _timestamp(text) or _number(text) or of_text(text)


def _number(text: str) -> Value | None:
    digits = text.replace("_", "") if text[0] != "." else text
    if _DECIMAL.match(digits):
        return _whole(int(digits))
    if _BASED.match(digits):
        based = _based(digits)
        if SMALLEST_INT <= based < 2**64:
            return _whole(based)
    if not _FLOAT.match(digits):
        return None
    value = float(digits)
    return None if value in (float("inf"), float("-inf")) else of_float(value)


def _based(digits: str) -> int:
    sign = -1 if digits[0] == "-" else 1
    bare = digits.lstrip("+-")
    if bare[1].isdigit():  # an octal number without its `o`
        return sign * int(bare, 8)
    return sign * int(bare, 0)


def _whole(value: int) -> Value:
    if LARGEST_INT < value < 2**64:
        raise TooLarge(f"integers above {LARGEST_INT} have no type in SOPS")
    return of_int(value) if SMALLEST_INT <= value <= LARGEST_INT else of_float(float(value))


def _timestamp(text: str) -> Value | None:
    found = _TIME.match(text)
    if found is None or not _zoned_as_go_does(found["sign"], found["zone"]):
        return None
    fields = [int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")]
    try:
        at = datetime(*fields, tzinfo=_zone(found["zone"]))  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    fraction = (found["fraction"] or "").rstrip("0")
    zone = at.strftime("%z")
    offset = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    written = f"{at.year:04}" + at.strftime("-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + offset
    return Value("time", written.encode())


def _zoned_as_go_does(sign: str | None, zone: str | None) -> bool:
    """After `T` a zone has to follow; after a blank none may."""
    if sign is None:
        return True
    return (zone is None) if sign == " " else (zone is not None)


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
