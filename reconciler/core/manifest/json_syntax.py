"""JSON, with the offset of every part: tabs, surrogate pairs and all else YAML's parser refuses."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from reconciler.core.manifest.scalar import Plain

if TYPE_CHECKING:
    from reconciler.core.manifest.tree import TreeBuilder
    from reconciler.core.problem import Invalid

_TOKEN = re.compile(
    r"[ \t\r\n]*(?:"
    r"(?P<mark>[{}\[\]:,])"
    r'|(?P<text>"(?:[^"\\\x00-\x1f]++|\\.)*+")'
    r"|(?P<plain>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)(?![\w.+-])"
    r"|(?P<end>\Z))"
)
_BLANK = re.compile(r"[ \t\r\n]*")
_TEXT_SO_FAR = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+')
_WORD = re.compile(r"[\w.+-]{1,40}|.", re.DOTALL)

# What may come next, in the words of an error.
_VALUE = "a value"
_ITEM = "a value or `]`"
_KEY = "a key in double quotes"
_KEY_OR_END = "a key in double quotes or `}`"
_COLON = "`:`"
_COMMA = "`,` or the closing bracket"
_NOTHING = "nothing more"

_PAIRS = {"{": "}", "[": "]"}


def parse_json(content: str, builder: TreeBuilder) -> None:
    """Feed the one document of `content` to `builder`. Raises `Invalid` where the syntax does not go on."""
    parser = _JsonParser(content, builder)
    position = 0
    while found := _TOKEN.match(content, position):
        kind = found.lastgroup or ""
        parser.take(kind, found[kind], found.start(kind))
        if kind == "end":
            return
        position = found.end()
    raise parser.unreadable(position)


class _JsonParser:
    """The brackets that are open, innermost last, and what may come next."""

    def __init__(self, content: str, builder: TreeBuilder) -> None:
        self._content = content
        self._builder = builder
        self._open: list[str] = []
        self._expected = _VALUE

    def take(self, kind: str, token: str, offset: int) -> None:
        """Take one token. Raises `Invalid` where it may not come next."""
        if kind == "mark":
            self._mark(token, offset)
        elif kind == "end":
            if self._expected != _NOTHING:
                raise self._failed("the file ends too early", offset)
        elif self._expected in (_VALUE, _ITEM):
            self._builder.scalar(self._text(token, offset) if kind == "text" else _plain(token), offset)
            self._value_done()
        elif kind == "text" and self._expected in (_KEY, _KEY_OR_END):
            self._builder.scalar(self._text(token, offset), offset)
            self._expected = _COLON
        else:
            raise self._unexpected(offset)

    def unreadable(self, position: int) -> Invalid:
        """What to raise where no token begins."""
        blank = _BLANK.match(self._content, position)
        offset = blank.end() if blank else position
        so_far = _TEXT_SO_FAR.match(self._content, offset)
        if so_far is None:
            return self._unexpected(offset)
        character = self._content[so_far.end() : so_far.end() + 1]
        if character in ("", "\r", "\n", "\\"):
            return self._builder.failed("the closing quote of this text is missing", offset, expected='"')
        message = f"the character U+{ord(character):04X} may not stand in a JSON text"
        return self._builder.failed(message, so_far.end(), expected=f"\\u{ord(character):04x}")

    def _mark(self, sign: str, offset: int) -> None:
        if sign in _PAIRS and self._expected in (_VALUE, _ITEM):
            if sign == "{":
                self._builder.open_mapping(offset)
                self._expected = _KEY_OR_END
            else:
                self._builder.open_sequence(offset)
                self._expected = _ITEM
            self._open.append(sign)
        elif self._open and sign == _PAIRS[self._open[-1]] and self._expected in (_ITEM, _KEY_OR_END, _COMMA):
            self._open.pop()
            self._builder.close()
            self._value_done()
        elif sign == ":" and self._expected == _COLON:
            self._expected = _VALUE
        elif sign == "," and self._expected == _COMMA:
            self._expected = _KEY if self._open[-1] == "{" else _VALUE
        else:
            raise self._unexpected(offset)

    def _value_done(self) -> None:
        self._expected = _COMMA if self._open else _NOTHING

    def _text(self, token: str, offset: int) -> str:
        if "\\" not in token:
            return token[1:-1]
        try:
            text = str(json.loads(token))
            text.encode()
        except json.JSONDecodeError as error:
            escapes = 'one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX'
            raise self._builder.failed("unknown escape", offset + error.pos, expected=escapes) from None
        except UnicodeEncodeError:
            raise self._builder.failed("half of a surrogate pair", offset, expected="both halves") from None
        return text

    def _unexpected(self, offset: int) -> Invalid:
        word = _WORD.match(self._content, offset)
        return self._failed(f"`{word[0] if word else ''}` cannot stand here in JSON", offset)

    def _failed(self, message: str, offset: int) -> Invalid:
        return self._builder.failed(message, offset, expected=self._expected)


def _plain(literal: str) -> Plain:
    """A number or literal as it stands, but null as nothing: JSON's null is no text under any schema."""
    return Plain("" if literal == "null" else literal)
