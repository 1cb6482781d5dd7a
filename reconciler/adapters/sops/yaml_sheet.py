"""YAML: slots by libyaml's events, so that what stands between them is never touched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from yaml import CBaseLoader
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
)

from reconciler.adapters.sops import json_sheet, yaml_metadata, yaml_scalar
from reconciler.adapters.sops.scalars import TooLarge, resolve
from reconciler.adapters.sops.sheet import KEY, Block, Sheet, Slot, replaced
from reconciler.adapters.sops.values import Value, of_text
from reconciler.adapters.sops.yaml_comments import Entry, comments
from reconciler.core.manifest.places import Places
from reconciler.core.manifest.syntax import parse
from reconciler.core.manifest.text import Text
from reconciler.core.problem import Finding, Invalid

if TYPE_CHECKING:
    from reconciler.core.manifest.tree import TreeBuilder

_TYPED_TAGS = frozenset("tag:yaml.org,2002:" + name for name in ("int", "float", "bool", "null"))
_FLOAT = "tag:yaml.org,2002:float"
_DOCUMENT = re.compile(r"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_MARKED = ("mac", "lastmodified")


class Yaml:
    """YAML files. One that is JSON throughout is handled as JSON."""

    def read(self, text: Text) -> Sheet:
        if json_sheet.is_json(text):
            return json_sheet.Json(inside_yaml=True).read(text)
        checked = parse(text.content.encode(), text.path)
        if checked.findings:
            raise Invalid(tuple(checked.findings))
        reader = _Reader(text)
        try:
            reader.take_all()
        except MarkedYAMLError as error:  # what both parsers see, the first has said
            raise Invalid((Finding(str(error.problem), text.place(0)),)) from None
        slots = [*reader.slots, *comments(text.content, reader.spans, reader.entries)]
        slots.sort(key=lambda slot: (_begins(text.content, slot), not slot.comment))
        outside = [slot for slot in slots if not slot.comment or not any(_within(slot, each) for each in reader.blocks)]
        return Sheet(text, self, tuple(outside), tuple(reader.blocks), _metadata(checked), reader.places)

    def plaintext(self, value: Value, slot: Slot) -> str:
        return yaml_scalar.comment(value) if slot.comment else yaml_scalar.written(value, slot.indent, flow=slot.flow)

    def ciphertext(self, token: str, slot: Slot) -> str:
        if slot.comment:
            return f"#{token}"
        return f'"{token}"' if slot.flow else token

    def attached(self, text: str, blocks: list[str]) -> str:
        ends = _document_ends(text)
        texts = blocks if len(blocks) == len(ends) else blocks[:1] * len(ends)
        edits = []
        for end, block in zip(ends, texts, strict=True):
            broken = end > 0 and text[end - 1] != "\n"
            edits.append((end, end, ("\n" if broken else "") + block))
        return replaced(text, edits)

    def block(self, metadata: dict[str, Any]) -> str:
        return yaml_metadata.written({KEY: metadata})


class _Frame:
    """An open mapping or list."""

    __slots__ = ("flow", "indent", "index", "key", "mapping", "path")

    def __init__(self, path: tuple[str | int, ...], *, mapping: bool, flow: bool, indent: int) -> None:
        self.path = path
        self.mapping = mapping
        self.flow = flow
        self.indent = indent
        self.key: str | None = None
        self.index = 0


class _Reader:
    """Takes the events of one file; slots, scalars' spans and metadata blocks grow."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.slots: list[Slot] = []
        self.spans: list[tuple[int, int]] = []
        self.entries: list[Entry] = []
        self.blocks: list[Block] = []
        self.places: dict[str, int] = {}
        self._document = -1
        self._stack: list[_Frame] = []
        self._metadata_from: int | None = None
        self._metadata_end = 0
        self._marks: dict[str, tuple[int, int]] = {}

    def take_all(self) -> None:
        loader = CBaseLoader(self.text.content)
        while (event := loader.get_event()) is not None:
            assert event.start_mark is not None
            assert event.end_mark is not None
            start, end = event.start_mark.index, event.end_mark.index
            if isinstance(event, ScalarEvent):
                self._scalar(event, start, end, event.start_mark.column)
            elif isinstance(event, CollectionStartEvent):
                self._open(event, start, event.start_mark.column)
            elif isinstance(event, CollectionEndEvent):
                self._close()
            elif isinstance(event, AliasEvent):
                raise self._invalid(start, "SOPS files have no aliases", "the value itself, written out")
            elif isinstance(event, DocumentStartEvent):
                self._document += 1
            elif isinstance(event, DocumentEndEvent):
                self._end_metadata()

    def _open(self, event: CollectionStartEvent, start: int, column: int) -> None:
        mapping = isinstance(event, MappingStartEvent)
        if not self._stack:
            if not mapping:
                raise self._invalid(start, "a SOPS file cannot be a list", "a mapping, with the list under a key")
            if event.flow_style:
                raise self._invalid(start, "the file is a `{...}` that is no JSON", "`key: value` lines, or JSON")
        path, indent = self._next(start, column)
        flow = bool(event.flow_style) or (bool(self._stack) and self._stack[-1].flow)
        self._stack.append(_Frame(path, mapping=mapping, flow=flow, indent=indent))

    def _close(self) -> None:
        self._stack.pop()
        self._value_done()

    def _scalar(self, event: ScalarEvent, start: int, end: int, column: int) -> None:
        end = start + len(self.text.content[start:end].rstrip()) if event.style in ("|", ">") else end
        self.spans.append((start, end))
        frame = self._stack[-1] if self._stack else None
        if frame is None:
            if event.value:
                raise self._invalid(start, "a SOPS file cannot be a single value", "a mapping")
            return
        if frame.mapping and frame.key is None:
            self._key(event, frame, start, column)
            return
        path, indent = self._next(start, column)
        if self._metadata_from is not None:
            self._in_metadata(path, start, end)
        else:
            value = self._value(event, start)
            flow = frame.flow or not _ends_line(self.text.content, end)
            self.slots.append(Slot(path, start, end, value, self._document, flow=flow, indent=indent))
        self._value_done()

    def _key(self, event: ScalarEvent, frame: _Frame, start: int, column: int) -> None:
        resolved = self._value(event, start)
        if resolved is None or resolved.kind != "str":
            raise self._invalid(start, f"the key `{event.value}` is no text to SOPS", f'"{event.value}"')
        if event.value == "<<" and not event.style:
            raise self._invalid(start, "SOPS files have no `<<`", "the fields themselves, written out")
        frame.key = event.value
        frame.indent = column
        self.entries.append(Entry(start, column, frame.path, self._document))
        if len(self._stack) == 1 and event.value == KEY:
            self._metadata_from = self.text.content.rfind("\n", 0, start) + 1
            self._marks = {}

    def _next(self, start: int, column: int) -> tuple[tuple[str | int, ...], int]:
        """The path of the value that comes next, and the column of its key."""
        if not self._stack:
            return (), 0
        frame = self._stack[-1]
        if frame.mapping:
            assert frame.key is not None
            return (*frame.path, frame.key), frame.indent
        self.entries.append(Entry(start, column, frame.path, self._document, item=True))
        return (*frame.path, frame.index), max(column - 2, 0)

    def _value_done(self) -> None:
        if not self._stack:
            return
        frame = self._stack[-1]
        frame.index += 1
        frame.key = None
        if len(self._stack) == 1:
            self._end_metadata()

    def _in_metadata(self, path: tuple[str | int, ...], start: int, end: int) -> None:
        self._metadata_end = end
        self.places.setdefault(".".join(str(step) for step in path[1:]), start)
        if len(path) == 2 and path[1] in _MARKED:
            self._marks[str(path[1])] = (start, end)

    def _end_metadata(self) -> None:
        begin = self._metadata_from
        if begin is None:
            return
        self._metadata_from = None
        content = self.text.content
        newline = content.find("\n", max(self._metadata_end, begin))
        end = len(content) if newline < 0 else newline + 1
        marks = {name: (start - begin, stop - begin) for name, (start, stop) in self._marks.items()}
        self.blocks.append(Block(((begin, end),), content[begin:end], marks))

    def _value(self, event: ScalarEvent, start: int) -> Value | None:
        typed = event.tag in _TYPED_TAGS
        if not typed and (event.style or event.tag is not None):
            return of_text(event.value)
        try:
            value = resolve(event.value)
            return Value("float", value.data) if value and event.tag == _FLOAT else value
        except TooLarge as error:
            raise self._invalid(start, str(error), f'"{event.value}"') from None

    def _invalid(self, offset: int, message: str, expected: str) -> Invalid:
        return Invalid((Finding(message, self.text.place(offset), expected),))


def _metadata(checked: TreeBuilder) -> dict[str, Any] | None:
    tree = checked.documents[0].tree
    if not isinstance(tree, dict) or KEY not in tree:
        return None
    metadata = tree[KEY]
    if not isinstance(metadata, dict):
        place = Places(b"", checked.text.path, 0, built=checked).of((KEY,))
        raise Invalid((Finding("`sops` is no mapping", place, "the metadata of SOPS"),))
    return metadata


def _ends_line(content: str, offset: int) -> bool:
    newline = content.find("\n", offset)
    return not content[offset : newline if newline >= 0 else None].strip()


def _begins(content: str, slot: Slot) -> int:
    """Where a slot comes in order: what is said of a line at its end is said before what is on it."""
    return content.rfind("\n", 0, slot.start) + 1 if slot.comment else slot.start


def _within(slot: Slot, block: Block) -> bool:
    return any(start <= slot.start < end for start, end in block.cuts)


def _document_ends(text: str) -> list[int]:
    """Where each document of a plaintext ends: before the next `---` or `...`, or with the text."""
    loader = CBaseLoader(text)
    ends = []
    while (event := loader.get_event()) is not None:
        if isinstance(event, DocumentEndEvent):
            assert event.start_mark is not None
            found = _DOCUMENT.search(text, event.start_mark.index)
            ends.append(found.start() if found else len(text))
    return ends
