"""YAML, by libyaml's events: no recursion in the parser, so depth is ours to bound, and positions come for free."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yaml import CBaseLoader
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
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
_SCALAR_TAGS = _TEXT_TAGS | _PLAIN_TAGS
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
    next_event = parser.get_event
    while (event := next_event()) is not None:
        assert event.start_mark is not None
        offset = event.start_mark.index
        if isinstance(event, ScalarEvent):
            if event.tag is None:  # libyaml's style of a plain scalar is empty
                builder.scalar(event.value if event.style else Plain(event.value), offset, event.anchor)
            else:
                value = Plain(event.value) if event.tag in _PLAIN_TAGS else event.value
                builder.scalar(value, offset, event.anchor, _unknown_tag(event, offset, builder))
        elif isinstance(event, CollectionEndEvent):
            builder.close()
        elif isinstance(event, MappingStartEvent):
            builder.open_mapping(offset, event.anchor, _unknown_tag(event, offset, builder))
        elif isinstance(event, SequenceStartEvent):
            builder.open_sequence(offset, event.anchor, _unknown_tag(event, offset, builder))
        elif isinstance(event, AliasEvent):
            builder.alias(event.anchor or "", offset)
        elif isinstance(event, DocumentStartEvent):
            builder.begin_document(offset)


def _unknown_tag(event: ScalarEvent | CollectionStartEvent, offset: int, builder: TreeBuilder) -> str:
    """The tag of a value as it is written, after saying so; empty where YAML itself knows it."""
    tag = event.tag
    text = event.value if isinstance(event, ScalarEvent) else None
    if tag is None or tag in (_COLLECTION_TAGS if text is None else _SCALAR_TAGS):
        return ""
    name = tag.replace(_CORE, "!!", 1)
    value = f" on `{text[:60]}`" if text else ""
    builder.finding(f"unknown tag `{name}`{value}", offset, expected="no tag, or quotes where the `!` is text")
    return name


def _unprintable(content: str, builder: TreeBuilder) -> Invalid:
    found = _UNPRINTABLE.search(content)
    offset = found.start() if found else 0
    name = f"U+{ord(content[offset]):04X}" if content else "nothing"
    return builder.failed(f"the character {name} may not stand in YAML", offset, expected='an escape in "..."')
