"""INI: sections of `key = value` lines. What go-ini reads in ways of its own (quotes, continued lines) is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reconciler.adapters.sops.flattened import dotted, flattened, nested
from reconciler.adapters.sops.sheet import KEY, Block, Sheet, Slot
from reconciler.adapters.sops.values import Value, of_text
from reconciler.core.problem import Finding, Invalid

if TYPE_CHECKING:
    from reconciler.adapters.sops.sheet import Syntax
    from reconciler.core.manifest.text import Text

DEFAULT = "DEFAULT"
_SECTION = re.compile(r"[ \t]*\[(?P<name>[^\]\r\n]+)\][ \t\r]*\Z")
_FIELD = re.compile(r"[ \t]*(?P<key>[^=:\s\"'`][^=:]*?)[ \t]*[=:][ \t]*(?P<value>.*?)[ \t\r]*\Z")
_COMMENT = re.compile(r"[ \t]*[#;][#; \t]*(?P<text>.*?)[ \t\r]*\Z")
_UNSURE = re.compile(r"\A[\"'`]|[ \t][#;]|\A[#;]|\\\Z")
_MARKED = ("mac", "lastmodified")


class Ini:
    """INI files. A comment is in the section of what follows it, each line of it by itself."""

    def read(self, text: Text) -> Sheet:
        reader = _Reader(text)
        position = 0
        for line in text.content.split("\n"):
            reader.line(line, position)
            position += len(line) + 1
        return reader.sheet(self, len(text.content))

    def plaintext(self, value: Value, slot: Slot) -> str:
        try:
            text = value.text
        except UnicodeDecodeError:
            raise ValueError("its bytes are no UTF-8 text") from None
        if slot.comment:
            return text.replace("\n", "\n; ")
        if "\n" in text or text != text.strip() or _UNSURE.search(text):
            raise ValueError("INI files cannot say it without quotes")
        return text

    def ciphertext(self, token: str, _slot: Slot) -> str:
        return token

    def attached(self, text: str, blocks: list[str]) -> str:
        return text + ("" if not text or text.endswith("\n") else "\n") + blocks[0]

    def block(self, metadata: dict[str, Any]) -> str:
        lines = (f"{name} = {value}\n" for name, value in flattened(metadata).items())
        return f"[{KEY}]\n" + "".join(lines)


class _Reader:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._slots: list[Slot] = []
        self._section = DEFAULT
        self._seen: dict[tuple[str, str], int] = {}
        self._sections: set[str] = {DEFAULT}
        self._lines: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._begin: int | None = None
        self._end = 0
        self._marks: dict[str, tuple[int, int]] = {}
        self._comments: list[tuple[int, str]] = []  # those that wait for what follows them

    def line(self, line: str, offset: int) -> None:
        """Take one line."""
        if not line.strip():
            return
        comment = _COMMENT.match(line)
        if comment is not None:
            if comment["text"]:
                self._comments.append((offset + comment.start("text"), comment["text"]))
            return
        section = _SECTION.match(line)
        if section is not None:
            name = section["name"].strip()
            if name == KEY:
                self._place_comments()
            self._enter(name, offset)
            self._place_comments()
            return
        self._place_comments()
        field = _FIELD.match(line)
        if field is None:
            raise self._invalid(offset, "this line is neither a section nor a field", "`[name]` or `key = value`")
        key = field["key"]
        if (self._section, key) in self._seen:
            raise self._invalid(offset, f"`{key}` is given twice in [{self._section}]", "each key once")
        self._seen[self._section, key] = offset
        start, end = offset + field.start("value"), offset + field.end("value")
        if self._section == KEY:
            self._end = offset + len(line) + 1
            self._metadata_field(key, field["value"], start, end)
        elif _UNSURE.search(field["value"]):
            raise self._invalid(start, "a value with quotes, a comment or a continued line", "the bare value")
        else:
            self._slots.append(Slot((self._section, key), start, end, of_text(field["value"])))

    def sheet(self, syntax: Syntax, length: int) -> Sheet:
        """What was found; `length` is that of the file. Raises `Invalid`."""
        self._place_comments()
        if self._begin is None:
            return Sheet(self._text, syntax, tuple(self._slots))
        begin, end = self._begin, min(max(self._end, self._begin), length)
        try:
            metadata = nested(self._lines)
        except ValueError as error:
            raise self._invalid(begin, str(error), "what SOPS wrote") from None
        marks = {name: (start - begin, stop - begin) for name, (start, stop) in self._marks.items()}
        raw = self._text.content[begin:end]
        block = Block(((begin, end),), raw if raw.endswith("\n") else f"{raw}\n", marks)
        return Sheet(self._text, syntax, tuple(self._slots), (block,), metadata, self._places)

    def _enter(self, name: str, offset: int) -> None:
        if name in self._sections and name != DEFAULT:
            raise self._invalid(offset, f"the section [{name}] is given twice", "each section once")
        self._sections.add(name)
        self._section = name
        if name == KEY:
            self._begin = offset

    def _place_comments(self) -> None:
        homes = ((self._section,), *((name,) for name in self._sections if name != self._section))
        for start, text in self._comments:
            if self._section != KEY:
                value = Value("comment", text.encode())
                slot = Slot((self._section,), start, start + len(text), value, comment=True, homes=homes)
                self._slots.append(slot)
        self._comments.clear()

    def _metadata_field(self, key: str, value: str, start: int, end: int) -> None:
        self._lines[key] = value
        self._places[dotted(key)] = start
        if key in _MARKED:
            self._marks[key] = (start, end)

    def _invalid(self, offset: int, message: str, expected: str) -> Invalid:
        return Invalid((Finding(message, self._text.place(offset), expected),))
