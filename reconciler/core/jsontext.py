"""JSON as text for people and programs. What is hashed or signed is canonical JSON, of `agent.contract`, instead."""

from __future__ import annotations

import json

import orjson


def json_of(value: object) -> bytes:
    """Compact JSON in UTF-8, keys in the order they have; a lone surrogate is written as the escape that it is."""
    try:
        return orjson.dumps(value)
    except TypeError:  # orjson knows no lone surrogates, and no integers of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
