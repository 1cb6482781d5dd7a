"""YAML, by libyaml's events: no recursion in the parser, so depth is ours to bound, and positions come for free."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yaml import CBaseLoader
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from yaml.reader import ReaderError

from reconciler.core.manifest.scalar import Plain
from reconciler.core.manifest.yaml_words import explain

if TYPE_CHECKING:
    from reconciler.core.manifest.tree import TreeBuilder
    from reconciler.core.problem import Invalid

_CORE = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"!", _CORE + "str"})
_PLAIN_TAGS = frozenset(_CORE + name for name in ("int", "float", "bool", "null"))
_COLLECTION_TAGS = frozenset({"!", _CORE + "map", _CORE + "seq"})
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_yaml(content: str, builder: TreeBuilder) -> None:
    """Feed every document of `content` to `builder`. Raises `Invalid` where the syntax does not go on."""
    try:
        _feed(CBaseLoader(content), builder)
    except MarkedYAMLError as error:
        raise explain(error, builder) from None
    except ReaderError:
        raise _unprintable(content, builder) from None


def _feed(parser: CBaseLoader, builder: TreeBuilder) -> None:
    while (event := parser.get_event()) is not None:
        assert event.start_mark is not None
        offset = event.start_mark.index
        if isinstance(event, ScalarEvent):
            builder.scalar(_scalar(event, offset, builder), offset, event.anchor)
        elif isinstance(event, CollectionEndEvent):
            builder.close()
        elif isinstance(event, MappingStartEvent):
            _check_tag(event.tag, offset, builder)
            builder.open_mapping(offset, event.anchor)
        elif isinstance(event, SequenceStartEvent):
            _check_tag(event.tag, offset, builder)
            builder.open_sequence(offset, event.anchor)
        elif isinstance(event, AliasEvent):
            builder.alias(event.anchor or "", offset)
        elif isinstance(event, DocumentStartEvent):
            builder.begin_document(offset)


def _scalar(event: ScalarEvent, offset: int, builder: TreeBuilder) -> str:
    tag = event.tag
    if tag is None:
        return event.value if event.style else Plain(event.value)  # libyaml's style of a plain scalar is empty
    if tag in _PLAIN_TAGS:
        return Plain(event.value)
    if tag not in _TEXT_TAGS:
        _unknown_tag(tag, f" on `{event.value[:60]}`" if event.value else "", offset, builder)
    return event.value


def _check_tag(tag: str | None, offset: int, builder: TreeBuilder) -> None:
    if tag is not None and tag not in _COLLECTION_TAGS:
        _unknown_tag(tag, "", offset, builder)


def _unknown_tag(tag: str, value: str, offset: int, builder: TreeBuilder) -> None:
    name = tag.replace(_CORE, "!!", 1)
    builder.finding(f"unknown tag `{name}`{value}", offset, expected="no tag, or quotes where the `!` is text")


def _unprintable(content: str, builder: TreeBuilder) -> Invalid:
    found = _UNPRINTABLE.search(content)
    offset = found.start() if found else 0
    name = f"U+{ord(content[offset]):04X}" if content else "nothing"
    return builder.failed(f"the character {name} may not stand in YAML", offset, expected='an escape in "..."')
