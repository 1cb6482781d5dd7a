"""Which of the two syntaxes a file has, and its documents read by it."""

from __future__ import annotations

from reconciler.core.manifest.json_syntax import parse_json
from reconciler.core.manifest.text import Text
from reconciler.core.manifest.tree import TreeBuilder
from reconciler.core.manifest.yaml_syntax import parse_yaml
from reconciler.core.problem import Finding, Invalid, Place


def parse(data: bytes, path: str) -> TreeBuilder:
    """The documents of a file, at least one, with their marks and what is wrong about trees that are there anyway.

    Raises `Invalid` where the text becomes no tree. A file named `.json` is JSON. Elsewhere what begins as JSON is read
    as JSON if it is that, else as YAML.
    """
    text = Text.decode(data, path)
    builder = _read_json(text) if path.endswith(".json") else _try_json(text) or _read_yaml(text)
    if not builder.documents:
        raise Invalid((*builder.findings, Finding("the file is empty", Place(path), expected="a mapping")))
    return builder


def _read_json(text: Text) -> TreeBuilder:
    builder = TreeBuilder(text)
    if text.content.strip():
        parse_json(text.content, builder)
    return builder


def _read_yaml(text: Text) -> TreeBuilder:
    builder = TreeBuilder(text)
    parse_yaml(text.content, builder)
    return builder


def _try_json(text: Text) -> TreeBuilder | None:
    if text.content.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return _read_json(text)
    except Invalid:
        return None
