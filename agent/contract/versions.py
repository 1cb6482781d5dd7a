"""Debian's version order (deb-version(7)): `[epoch:]upstream[-revision]`."""

from __future__ import annotations

import re
from typing import Tuple

_PARTS = re.compile(r"(\D*)(\d*)")


def compare_dpkg(one: str, other: str) -> int:
    """-1, 0 or 1 as dpkg orders the two."""
    left, right = _split(one), _split(other)
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    return _compare(left[1], right[1]) or _compare(left[2], right[2])


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
