"""Metadata as YAML in the style of SOPS: keys sorted, four blanks, armoured keys as blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.adapters.sops import yaml_scalar
from reconciler.adapters.sops.values import of_bool, of_int, of_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_INDENT = 4


def written(metadata: Mapping[str, Any]) -> str:
    """The lines of a mapping of mappings, lists, texts, integers and booleans."""
    return "".join(f"{line}\n" for line in _mapping(metadata, 0))


def _mapping(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key in sorted(value):
        yield from _field(key, value[key], indent)


def _field(key: str, value: Any, indent: int) -> Iterator[str]:
    margin = " " * indent
    if isinstance(value, dict) and value:
        yield f"{margin}{key}:"
        yield from _mapping(value, indent + _INDENT)
    elif isinstance(value, list) and value:
        yield f"{margin}{key}:"
        for item in value:
            yield from _item(item, indent + _INDENT)
    else:
        yield f"{margin}{key}: {_scalar(value, indent)}"


def _item(item: Any, indent: int) -> Iterator[str]:
    if not isinstance(item, dict) or not item:
        yield f"{' ' * indent}- {_scalar(item, indent)}"
        return
    begun = " " * indent + "- "
    for line in _mapping(item, indent + len("- ")):
        yield begun + line[len(begun) :] if begun.strip() else line
        begun = " " * len(begun)


def _scalar(value: Any, indent: int) -> str:
    if isinstance(value, bool):
        return yaml_scalar.written(of_bool(value), indent, flow=False)
    if isinstance(value, int):
        return yaml_scalar.written(of_int(value), indent, flow=False)
    if isinstance(value, str):
        return value if value.startswith("ENC[") else yaml_scalar.written(of_text(value), indent, flow=False)
    if value is None:
        return "null"
    return "[]" if isinstance(value, list) else "{}"
