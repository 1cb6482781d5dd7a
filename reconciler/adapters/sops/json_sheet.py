"""JSON; binary files are a JSON object whose one key is `data`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from reconciler.adapters.sops.scalars import resolve
from reconciler.adapters.sops.sheet import KEY, Block, Sheet, Slot
from reconciler.adapters.sops.values import Value, go_float, of_bool, of_float, of_text
from reconciler.core.manifest.json_syntax import parse_json
from reconciler.core.manifest.scalar import Plain
from reconciler.core.manifest.tree import TreeBuilder
from reconciler.core.problem import Finding, Invalid

if TYPE_CHECKING:
    from reconciler.core.manifest.text import Text

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[-+.\w]+')
_LEADING = re.compile(r"[ \t\r\n]*")
_MARKED = ("mac", "lastmodified")


def is_json(text: Text) -> bool:
    """Whether a file is JSON throughout."""
    if text.content.lstrip()[:1] != "{":
        return False
    try:
        parse_json(text.content, TreeBuilder(text))
    except Invalid:
        return False
    return True


class Json:
    """JSON files. `inside_yaml`: numbers are as YAML has them, not all floating."""

    def __init__(self, *, inside_yaml: bool = False) -> None:
        self._inside_yaml = inside_yaml

    def read(self, text: Text) -> Sheet:
        checked = TreeBuilder(text)
        parse_json(text.content, checked)
        if checked.findings:
            raise Invalid(tuple(checked.findings))
        tree = checked.documents[0].tree
        if not isinstance(tree, dict):
            raise Invalid((Finding("a SOPS file is a JSON object", text.place(0), "`{` and keys"),))
        reader = _Reader(text, inside_yaml=self._inside_yaml)
        parse_json(text.content, reader)  # type: ignore[arg-type]  # it takes the same events
        metadata = tree.get(KEY)
        if metadata is not None and not isinstance(metadata, dict):
            raise Invalid((Finding("`sops` is no object", text.place(reader.key_offset), "the metadata of SOPS"),))
        if metadata is None and reader.inexact:
            place = text.place(reader.inexact[0])
            raise Invalid(
                (Finding("SOPS reads the numbers of JSON as floating, and would lose digits", place, '"..."'),)
            )
        return Sheet(text, self, tuple(reader.slots), tuple(reader.blocks), metadata, reader.places)

    def plaintext(self, value: Value, _slot: Slot) -> str:
        if value.kind in ("int", "float"):
            if value.text in ("NaN", "+Inf", "-Inf"):
                raise ValueError("JSON has no such number")
            return value.text
        if value.kind == "bool":
            return value.text.lower()
        try:
            return json.dumps(value.text, ensure_ascii=False)
        except UnicodeDecodeError:
            raise ValueError("its bytes are no UTF-8 text") from None

    def ciphertext(self, token: str, _slot: Slot) -> str:
        return f'"{token}"'

    def attached(self, text: str, blocks: list[str]) -> str:
        last = len(text[: text.rindex("}")].rstrip())
        block = blocks[0]
        if block.startswith(","):  # as it stood, with its own margin
            block = block.removeprefix(",")
        else:
            block = ("\n\t" if "\n" in text[:last] else "") + block.strip()
        only = text[last - 1] == "{"
        return text[:last] + (block.strip() if only else f",{block}") + text[last:]

    def block(self, metadata: dict[str, Any]) -> str:
        written = json.dumps({KEY: metadata}, indent="\t", ensure_ascii=False, sort_keys=True)
        return written.removeprefix("{").removesuffix("}").strip("\n")


class _Frame:
    """An open object or array."""

    __slots__ = ("index", "key", "mapping", "path")

    def __init__(self, path: tuple[str | int, ...], *, mapping: bool) -> None:
        self.path = path
        self.mapping = mapping
        self.key: str | None = None
        self.index = 0


class _Reader:
    """Takes the events of the parser; slots and metadata grow."""

    def __init__(self, text: Text, *, inside_yaml: bool) -> None:
        self.text = text
        self.slots: list[Slot] = []
        self.blocks: list[Block] = []
        self.places: dict[str, int] = {}
        self.key_offset = 0
        self.inexact: list[int] = []
        self._inside_yaml = inside_yaml
        self._stack: list[_Frame] = []
        self._marks: dict[str, tuple[int, int]] = {}
        self._begin = 0  # where the root object begins, after its brace
        self._position = 0  # where the last token ended
        self._value_end = 0  # where the last value of the root object ended; 0 before the first
        self._cut_to_next: int | None = None

    def open_mapping(self, offset: int) -> None:
        self._open(offset, mapping=True)

    def open_sequence(self, offset: int) -> None:
        self._open(offset, mapping=False)

    def close(self) -> None:
        blank = _LEADING.match(self.text.content, self._position)
        self._position = (blank.end() if blank else self._position) + 1
        self._stack.pop()
        self._value_done()

    def scalar(self, value: str, offset: int) -> None:
        token = _TOKEN.match(self.text.content, offset)
        self._position = token.end() if token else offset
        frame = self._stack[-1]
        if frame.mapping and frame.key is None:
            frame.key = value
            if len(self._stack) == 1:
                self._root_key(value, offset)
            return
        path = self._next()
        if path[0] == KEY:
            self.places.setdefault(".".join(str(step) for step in path[1:]), offset)
            if len(path) == 2 and path[1] in _MARKED:
                self._marks[str(path[1])] = (offset, self._position)
        else:
            self.slots.append(Slot(path, offset, self._position, self._value(value, offset), flow=True))
        self._value_done()

    def _open(self, offset: int, *, mapping: bool) -> None:
        self._stack.append(_Frame(self._next(), mapping=mapping))
        self._position = offset + 1
        self._begin = self._begin or offset + 1

    def _next(self) -> tuple[str | int, ...]:
        if not self._stack:
            return ()
        frame = self._stack[-1]
        return (*frame.path, frame.key if frame.mapping and frame.key is not None else frame.index)

    def _root_key(self, key: str, offset: int) -> None:
        if key == KEY:
            self.key_offset = offset
        elif self._cut_to_next is not None:  # the metadata came first, so its comma goes with it
            (block,) = self.blocks
            self.blocks = [block._replace(cuts=((self._cut_to_next, offset),))]
            self._cut_to_next = None

    def _value_done(self) -> None:
        if not self._stack:
            return
        frame = self._stack[-1]
        if len(self._stack) == 1:
            if frame.key == KEY:
                self._end_metadata()
            else:
                self._value_end = self._position
        frame.key = None
        frame.index += 1

    def _end_metadata(self) -> None:
        begin = self._value_end or self._begin
        raw = self.text.content[begin : self._position]
        marks = {name: (start - begin, end - begin) for name, (start, end) in self._marks.items()}
        self.blocks = [Block(((begin, self._position),), raw, marks)]
        if not self._value_end:
            self._cut_to_next = self.key_offset

    def _value(self, written: str, offset: int) -> Value | None:
        if not isinstance(written, Plain):
            return of_text(written)
        if written in ("true", "false"):
            return of_bool(written == "true")
        if not written:
            return None
        if self._inside_yaml:
            return resolve(written)
        number = float(written)
        if go_float(number) != written and written.lstrip("-").isdigit():
            self.inexact.append(offset)
        return of_float(number)
