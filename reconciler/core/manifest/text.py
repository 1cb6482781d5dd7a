"""The text of a file, and what an offset into it is as line and column."""

from __future__ import annotations

import codecs
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate

from reconciler.core.problem import Finding, Invalid, Place

_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


_SHORT = 1 << 15
"""Characters of a text in which counting lines is sooner done than knowing where each begins."""


class Text:
    """A decoded file. Offsets count characters from 0; a byte order mark is not part of the text."""

    def __init__(self, path: str, content: str) -> None:
        self.path = path
        self.content = content

    @classmethod
    def decode(cls, data: bytes, path: str) -> Text:
        """The text of UTF-8 bytes. Raises `Invalid` at the first byte that is not UTF-8."""
        for mark, name in _OTHER_ENCODINGS:
            if data.startswith(mark):
                raise Invalid((Finding(f"the file is {name}", Place(path), expected="UTF-8"),))
        data = data.removeprefix(codecs.BOM_UTF8)
        try:
            return cls(path, data.decode())
        except UnicodeDecodeError as error:
            before = cls(path, data[: error.start].decode())
            place = before.place(len(before.content))
            raise Invalid((Finding(f"byte 0x{data[error.start]:02x} is not UTF-8", place, expected="UTF-8"),)) from None

    def place(self, offset: int) -> Place:
        """Line and column, from 1, of an offset."""
        if len(self.content) <= _SHORT:
            line = self.content.count("\n", 0, offset) + 1
            return Place(self.path, line, offset - self.content.rfind("\n", 0, offset))
        line = bisect_right(self._line_starts, offset)
        return Place(self.path, line, offset - self._line_starts[line - 1] + 1)

    def line_at(self, offset: int) -> str:
        """The whole line that an offset is in, without its line end."""
        begin = self.content.rfind("\n", 0, offset) + 1
        end = self.content.find("\n", offset)
        return self.content[begin : end if end >= 0 else None].rstrip("\r")

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *accumulate(len(line) + 1 for line in self.content.split("\n"))][:-1]
