"""How a value is written in YAML so that go-yaml and everybody else read it back as it was."""

from __future__ import annotations

import json
import re

from reconciler.adapters.sops.scalars import TooLarge, resolve
from reconciler.adapters.sops.values import Value, of_text

_PLAIN = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.@+=%-]*\Z")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
_NOT_LITERAL = re.compile("[^\t\n\x20-\x7e\xa1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_INDENT = 4


def written(value: Value, indent: int, *, flow: bool) -> str:
    """The scalar. `indent` is the column of its key. Raises `ValueError` where its bytes are no text."""
    if value.kind not in ("str", "bytes"):
        return _number(value)
    text = _decoded(value)
    if _PLAIN.match(text) and text.lower() not in _WORDS and _is_text(text):
        return text
    if "\n" in text and not flow and _is_literal(text):
        return _literal(text, indent)
    return _quoted(text)


def comment(value: Value) -> str:
    """A comment, with its `#`."""
    return "#" + _decoded(value)


def _number(value: Value) -> str:
    text = value.text
    if value.kind == "bool":
        return text.lower()
    if value.kind == "float":
        special = {"NaN": ".nan", "+Inf": ".inf", "-Inf": "-.inf"}
        return special.get(text) or (text if "." in text else f"{text}.0")
    return text


def _decoded(value: Value) -> str:
    try:
        return value.text
    except UnicodeDecodeError:
        raise ValueError("its bytes are no UTF-8 text") from None


def _is_text(text: str) -> bool:
    try:
        return resolve(text) == of_text(text)
    except TooLarge:
        return False


def _is_literal(text: str) -> bool:
    """Whether a `|` block says it whatever follows: it cannot begin with a blank nor end with an empty line."""
    return not (text[0] in " \t\n" or text.endswith("\n\n") or _NOT_LITERAL.search(text))


def _literal(text: str, indent: int) -> str:
    margin = " " * (indent + _INDENT)
    lines = (margin + line if line else "" for line in text.removesuffix("\n").split("\n"))
    return ("|\n" if text.endswith("\n") else "|-\n") + "\n".join(lines)


def _quoted(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
