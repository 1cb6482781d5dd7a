"""dotenv: `KEY=value` lines as SOPS reads them, which knows neither quotes nor blanks around the `=`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.adapters.sops.flattened import dotted, flattened, nested
from reconciler.adapters.sops.sheet import KEY, Block, Sheet, Slot
from reconciler.adapters.sops.values import Value, of_text
from reconciler.core.problem import Finding, Invalid

if TYPE_CHECKING:
    from reconciler.adapters.sops.sheet import Syntax
    from reconciler.core.manifest.text import Text

PREFIX = f"{KEY}_"
_MARKED = ("mac", "lastmodified")


class Dotenv:
    """dotenv files."""

    def read(self, text: Text) -> Sheet:
        reader = _Reader(text)
        position = 0
        for line in text.content.split("\n"):
            reader.line(line, position)
            position += len(line) + 1
        return reader.sheet(self)

    def plaintext(self, value: Value, slot: Slot) -> str:
        try:
            text = value.text
        except UnicodeDecodeError:
            raise ValueError("its bytes are no UTF-8 text") from None
        if "\\n" in text:
            raise ValueError("dotenv files cannot say a backslash before an n")
        return f"#{text}" if slot.comment else text.replace("\n", "\\n")

    def ciphertext(self, token: str, slot: Slot) -> str:
        return f"#{token}" if slot.comment else token

    def attached(self, text: str, blocks: list[str]) -> str:
        return text + ("" if not text or text.endswith("\n") else "\n") + blocks[0]

    def block(self, metadata: dict[str, Any]) -> str:
        return "".join(f"{PREFIX}{name}={value}\n" for name, value in flattened(metadata).items())


class _Reader:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._slots: list[Slot] = []
        self._seen: dict[str, int] = {}
        self._lines: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._cuts: list[tuple[int, int]] = []
        self._marks: dict[str, tuple[int, int]] = {}
        self._raw = ""

    def line(self, line: str, offset: int) -> None:
        """Take one line."""
        if not line:
            return
        end = offset + len(line)
        if line[0] == "#":
            if line[1:]:
                value = Value("comment", line[1:].encode())
                self._slots.append(Slot((), offset, end, value, comment=True, homes=((),)))
            return
        key, equals, written = line.partition("=")
        if not equals:
            raise self._invalid(offset, "this line has no `=`", "KEY=value, or `#` before a comment")
        if key in self._seen:
            raise self._invalid(offset, f"`{key}` is given twice", "each key once")
        self._seen[key] = offset
        start = end - len(written)
        if key.startswith(PREFIX):
            self._metadata_line(key.removeprefix(PREFIX), written, offset, end)
        else:
            self._slots.append(Slot((key,), start, end, of_text(written.replace("\\n", "\n"))))

    def sheet(self, syntax: Syntax) -> Sheet:
        """What was found. Raises `Invalid`."""
        if not self._lines:
            return Sheet(self._text, syntax, tuple(self._slots))
        try:
            metadata = nested(self._lines)
        except ValueError as error:
            raise self._invalid(self._cuts[0][0], str(error), "what SOPS wrote") from None
        block = Block(tuple(self._cuts), self._raw, self._marks)
        return Sheet(self._text, syntax, tuple(self._slots), (block,), metadata, self._places)

    def _metadata_line(self, name: str, written: str, offset: int, end: int) -> None:
        self._lines[name] = written
        self._places[dotted(name)] = offset
        if name in _MARKED:
            begin = len(self._raw) + len(PREFIX) + len(name) + 1
            self._marks[name] = (begin, begin + len(written))
        self._cuts.append((offset, min(end + 1, len(self._text.content))))
        self._raw += f"{PREFIX}{name}={written}\n"

    def _invalid(self, offset: int, message: str, expected: str) -> Invalid:
        return Invalid((Finding(message, self._text.place(offset), expected),))
