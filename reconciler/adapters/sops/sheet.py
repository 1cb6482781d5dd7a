"""A file as a text with slots: where each value and comment stands, and where the metadata is.

Edits replace slots and leave every other character alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from reconciler.core.problem import Finding, Invalid, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.adapters.sops.values import Value
    from reconciler.core.manifest.text import Text

KEY = "sops"
MAX_BYTES = 16 << 20


class Slot(NamedTuple):
    """A value or a comment. Offsets count characters of the text.

    `path` leads to a value; to a comment it leads to the mapping or list that holds it. `homes` are other places that
    a comment may have been taken to stand in. `indent` is the column of its key; `flow` says that it stands in `{}` or
    `[]`, or that something follows on its line.
    """

    path: tuple[str | int, ...]
    start: int
    end: int
    value: Value | None
    document: int = 0
    comment: bool = False
    flow: bool = False
    indent: int = 0
    homes: tuple[tuple[str | int, ...], ...] = ()


class Block(NamedTuple):
    """The metadata of one document: what to cut out, what was cut, and where two of its values are in that."""

    cuts: tuple[tuple[int, int], ...]
    raw: str
    marks: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file, read. `metadata` is None where it is plaintext; `places` are the offsets of the metadata's fields."""

    text: Text = field(repr=False)
    syntax: Syntax
    slots: tuple[Slot, ...]
    blocks: tuple[Block, ...] = ()
    metadata: dict[str, Any] | None = field(default=None, repr=False)
    places: dict[str, int] = field(default_factory=dict, repr=False)

    def place(self, slot: Slot) -> Place:
        """Where a slot begins."""
        return self.text.place(slot.start)

    def invalid(self, offset: int, message: str, expected: str = "") -> Invalid:
        """What to raise about the text at an offset."""
        return Invalid((Finding(message, self.text.place(offset), expected),))


class Syntax(Protocol):
    """One of the five syntaxes of SOPS files."""

    def read(self, text: Text) -> Sheet:
        """Find the slots. Raises `Invalid`."""

    def plaintext(self, value: Value, slot: Slot, /) -> str:
        """How a value is written in the place of a slot. Raises `ValueError` where this syntax cannot say it."""

    def ciphertext(self, token: str, slot: Slot, /) -> str:
        """How a token is written in the place of a slot."""

    def attached(self, text: str, blocks: list[str]) -> str:
        """The text with metadata: one block for each of its documents, or one for all."""

    def block(self, metadata: dict[str, Any]) -> str:
        """Metadata as it is written."""


def body(sheet: Sheet, edits: Iterable[tuple[int, int, str]] = ()) -> str:
    """The text of a sheet without its metadata, with slots replaced."""
    cuts = [(start, end, "") for block in sheet.blocks for start, end in block.cuts]
    return replaced(sheet.text.content, sorted([*edits, *cuts]))


def replaced(content: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """The text with spans replaced; they are in order and do not overlap."""
    parts: list[str] = []
    position = 0
    for start, end, new in edits:
        parts += (content[position:start], new)
        position = end
    parts.append(content[position:])
    return "".join(parts)
