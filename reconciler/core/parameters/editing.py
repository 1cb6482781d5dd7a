"""Edits of a file of parameters, as a person would make them: what is not edited stays as it is, to the byte.

A path is the keys that lead to a value in one document of the file. Texts are edited, not trees: comments, order,
quotes and the form of everything else are not ours.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import yaml

from reconciler.core import manifest
from reconciler.core.manifest.scalar import NULLS

if TYPE_CHECKING:
    from collections.abc import Sequence

Value: TypeAlias = str | int | list[str]
Path: TypeAlias = "Sequence[str]"

_SAFE = re.compile(r"[A-Za-z0-9_./@%+=~^-][A-Za-z0-9_./:@%+=~^ -]*(?<![ :])\Z")
_STRANGE = re.compile(r"[-?:] |[-?:=]\Z|[~%@+]|<<|.* #|.*: ")


class NotEditable(Exception):
    """The file has a form that is only edited by hand. Its text says what."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A mapping of the file; `entry` is the key and value whose value it is, None for the whole document."""

    node: yaml.MappingNode
    above: _Found | None
    key: yaml.Node | None = None

    def entry(self, key: str) -> tuple[yaml.Node, yaml.Node] | None:
        return next(((name, value) for name, value in self.node.value if name.value == key), None)


def put(text: str, path: Path, value: Value, document: int = 0, *, as_json: bool = False) -> str:
    """The text with a value at a path: in place of the one there, or as a new entry of the deepest mapping there is."""
    if not text.strip():
        return _nested(path, value, "") if not as_json else _flow(path, value, as_json=True) + "\n"
    found, rest = _deepest(text, path, document)
    if not rest:
        assert found.above is not None
        raise NotEditable("there are levels below that name")
    entry = found.entry(rest[0])
    if entry is not None:
        if len(rest) > 1:
            raise NotEditable(f"`{rest[0]}` has a value, and so no levels below it")
        return _replaced(text, *entry, value, as_json=as_json)
    return _added(text, found, rest, value, as_json=as_json)


def remove(text: str, path: Path, document: int = 0) -> str:
    """The text without an entry, nor mappings that would be empty without it; an empty text where nothing is left."""
    found, rest = _deepest(text, path, document)
    entry = found.entry(rest[0]) if len(rest) == 1 else None
    if entry is None:
        raise NotEditable("there is no such entry")
    key, value = entry
    while len(found.node.value) == 1:
        if found.above is None:
            return ""
        assert found.key is not None
        key, value, found = found.key, found.node, found.above
    if found.node.flow_style:
        return _without_flow(text, found.node, key, value)
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    if text[start : key.start_mark.index].strip():
        raise NotEditable("the entry does not begin its line")
    return text[:start] + text[_line_end(text, _end(text, value)) + 1 :]


def _deepest(text: str, path: Path, document: int) -> tuple[_Found, list[str]]:
    """The deepest mapping that leads to a path, and the keys that lead on from there."""
    try:
        documents = [node for node in yaml.compose_all(text, Loader=yaml.CBaseLoader) if not _is_empty(node)]
    except yaml.YAMLError as error:  # such as a pair of surrogates, which JSON has and YAML has not
        raise NotEditable(f"its text is no YAML: {getattr(error, 'problem', error)}") from None
    top = documents[document] if document < len(documents) else None
    if not isinstance(top, yaml.MappingNode):
        raise NotEditable("the document is no mapping")
    found, rest = _Found(top, None), list(path)
    while rest:
        entry = found.entry(rest[0])
        if entry is None or not isinstance(entry[1], yaml.MappingNode):
            break
        found, rest = _Found(entry[1], found, entry[0]), rest[1:]
    return found, rest


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == ""


def _replaced(text: str, key: yaml.Node, old: yaml.Node, value: Value, *, as_json: bool) -> str:
    start, end = old.start_mark.index, _end(text, old)
    block = isinstance(old, yaml.SequenceNode) and not old.flow_style
    if block and isinstance(value, list):
        indent = " " * old.start_mark.column
        return text[:start] + f"\n{indent}".join(f"- {_scalar(item)}" for item in value) + text[end:]
    literal = isinstance(old, yaml.ScalarNode) and old.style in ("|", ">")
    if block or literal:
        return text[: key.end_mark.index] + ": " + _written(value, as_json=as_json) + text[end:]
    quoted = isinstance(old, yaml.ScalarNode) and old.style == '"'
    written = json.dumps(value, ensure_ascii=False) if quoted else _written(value, as_json=as_json)
    before = " " if start == end and not text[start - 1].isspace() else ""
    return text[:start] + before + written + text[end:]


def _added(text: str, found: _Found, rest: list[str], value: Value, *, as_json: bool) -> str:
    node = found.node
    if not node.flow_style:
        last = node.value[-1][1]
        at = _line_end(text, _end(text, last))
        indent = " " * node.value[0][0].start_mark.column
        return text[:at] + "\n" + _nested(rest, value, indent).rstrip("\n") + (text[at:] or "\n")
    entry = _flow(rest, value, as_json=as_json)[1:-1]
    if not node.value:
        return text[: node.start_mark.index] + "{" + entry + "}" + text[node.end_mark.index :]
    key, last = node.value[-1]
    at = _end(text, last)
    begin = text.rfind("\n", 0, key.start_mark.index) + 1
    indent = text[begin : key.start_mark.index]
    between = f"\n{indent}" if begin and not indent.strip() else " "
    return f"{text[:at]},{between}{entry}{text[at:]}"


def _without_flow(text: str, node: yaml.MappingNode, key: yaml.Node, value: yaml.Node) -> str:
    names = [name for name, _ in node.value]
    at = names.index(key)
    if at + 1 < len(names):
        return text[: key.start_mark.index] + text[names[at + 1].start_mark.index :]
    return text[: _end(text, node.value[at - 1][1])] + text[_end(text, value) :]


def _end(text: str, node: yaml.Node) -> int:
    """Where a value ends; what follows a block belongs to nobody."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return start + len(text[start:end].rstrip())
    return end


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return end if end >= 0 else len(text)


def _nested(path: Path, value: Value, indent: str) -> str:
    lines = [f"{indent}{'  ' * depth}{_scalar(key)}:" for depth, key in enumerate(path)]
    return "\n".join(lines) + f" {_written(value, as_json=False)}\n"


def _flow(path: Path, value: Value, *, as_json: bool) -> str:
    written = _written(value, as_json=as_json)
    for key in reversed(path):
        name = json.dumps(key) if as_json else _scalar(key)
        written = f"{{{name}: {written}}}"
    return written


def _written(value: Value, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_scalar, value)) + "]"
    return _scalar(value)


def _scalar(text: str) -> str:
    """A text as YAML: without quotes where that is a text for every reader."""
    plain = _SAFE.match(text) and not _STRANGE.match(text) and text not in NULLS
    if plain and manifest.resolve(_alone(text)) == text:
        return text
    return json.dumps(text, ensure_ascii=False)


def _alone(text: str) -> manifest.Tree:
    return manifest.read_one(f"x: {text}\n".encode(), "x.yaml").tree["x"]  # type: ignore[index,call-overload]  # it is a mapping
