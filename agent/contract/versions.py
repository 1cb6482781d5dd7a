"""How package systems order versions: `[epoch:]upstream[-revision]`, by dpkg's rules (deb-version(7)) or by rpm's."""

from __future__ import annotations

import re
from typing import Tuple

_PARTS = re.compile(r"(\D*)(\d*)")
_RPM_PARTS = re.compile(r"~|\^|[0-9]+|[A-Za-z]+")


def compare_dpkg(one: str, other: str) -> int:
    """-1, 0 or 1 as dpkg orders the two."""
    left, right = _split(one), _split(other)
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    return _compare(left[1], right[1]) or _compare(left[2], right[2])


def compare_rpm(one: str, other: str) -> int:
    """-1, 0 or 1 as rpm orders the two; one without a release stands for all of its releases."""
    left, right = _split(one), _split(other)
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    releases = (left[2], right[2])
    return _compare_rpm(left[1], right[1]) or (_compare_rpm(*releases) if all(releases) else 0)


def _split(version: str) -> Tuple[int, str, str]:
    head, colon, rest = version.strip().partition(":")
    epoch = int(head) if colon and head.isdigit() else 0
    upstream, dash, revision = (rest if colon else version.strip()).rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, revision, "")


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _compare(one: str, other: str) -> int:
    left, right = _PARTS.findall(one), _PARTS.findall(other)
    for at in range(max(len(left), len(right))):
        text, digits = left[at] if at < len(left) else ("", "")
        other_text, other_digits = right[at] if at < len(right) else ("", "")
        order = _compare_text(text, other_text)
        if order:
            return order
        number, other_number = int(digits or 0), int(other_digits or 0)
        if number != other_number:
            return -1 if number < other_number else 1
    return 0


def _compare_text(one: str, other: str) -> int:
    for at in range(max(len(one), len(other))):
        left = _weight(one[at]) if at < len(one) else 0
        right = _weight(other[at]) if at < len(other) else 0
        if left != right:
            return -1 if left < right else 1
    return 0


def _compare_rpm(one: str, other: str) -> int:
    """Runs of digits and of letters in turn; what else is there only divides them."""
    left, right = _RPM_PARTS.findall(one), _RPM_PARTS.findall(other)
    for part, other_part in zip(left, right):
        if part != other_part:
            order = _compare_rpm_part(part, other_part)
            if order:
                return order
    longer, sign = (left, 1) if len(left) > len(right) else (right, -1)
    rest = longer[min(len(left), len(right)) :]
    if not rest:
        return 0
    return -sign if rest[0] == "~" else sign


def _compare_rpm_part(one: str, other: str) -> int:
    """`~` is before everything, `^` before any further part; digits are after letters."""
    for mark in "~^":
        if mark in (one, other):
            return -1 if one == mark else 1
    if one.isdigit() and other.isdigit():
        number, other_number = int(one), int(other)
        return (number > other_number) - (number < other_number)
    if one.isdigit() != other.isdigit():
        return 1 if one.isdigit() else -1
    return (one > other) - (one < other)
