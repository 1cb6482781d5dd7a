"""Which values of a file are encrypted, and the MAC over them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from reconciler.adapters.sops.metadata import Metadata
    from reconciler.adapters.sops.sheet import Slot
    from reconciler.adapters.sops.values import Value

_ONLY_ENCRYPTED = hashlib.sha256(b"sops").digest()
_LONGEST = 1000


class UnknownExpression(ValueError):
    """A text that is no regular expression to RE2, and so none to SOPS."""


class Expression(Protocol):
    """A compiled regular expression."""

    def search(self, text: str, /) -> object:
        """Something where it is found in the text, else None."""


def selected(slots: Sequence[Slot], metadata: Metadata) -> list[bool]:
    """For each slot whether it is encrypted. Raises `UnknownExpression`."""
    name, text = metadata.selector
    if name.endswith("comment_regex"):
        return _by_comment(slots, expression(text), encrypting=name.startswith("encrypted"))
    matches: Callable[[str], object] = expression(text).search if name.endswith("regex") else _ends_with(text)
    known: dict[str, bool] = {}

    def hit(step: str) -> bool:
        found = known.get(step)
        if found is None:
            found = known[step] = bool(matches(step))
        return found

    encrypting = name.startswith("encrypted")
    return [any(hit(step) for step in slot.path if isinstance(step, str)) is encrypting for slot in slots]


@lru_cache(maxsize=256)
def expression(text: str) -> Expression:
    """A regular expression as Go has them, whose search takes time in proportion to the text. Raises
    `UnknownExpression`."""
    if len(text) > _LONGEST:
        raise UnknownExpression(f"a regular expression has at most {_LONGEST} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled: Expression = re2.compile(text, options)
    except re2.error as error:
        raise UnknownExpression(f"no regular expression of RE2, which SOPS has: {_words(error)}") from None
    return compiled


def mac(values: Iterable[tuple[Value, bool]], metadata: Metadata) -> str:
    """The MAC over values in document order, each with whether it is encrypted; comments and nulls are left out."""
    digest = hashlib.sha512(_ONLY_ENCRYPTED if metadata.mac_only_encrypted else b"")
    for value, encrypted in values:
        if encrypted or not metadata.mac_only_encrypted:
            digest.update(value.data)
    return digest.hexdigest().upper()


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _ends_with(suffix: str) -> Callable[[str], bool]:
    return lambda step: step.endswith(suffix)


def _by_comment(slots: Sequence[Slot], pattern: Expression, *, encrypting: bool) -> list[bool]:
    heard = _Heard()
    found = []
    for slot in slots:
        comments = heard.by(slot)
        if slot.comment and encrypting:  # the comment that turns encryption on stays readable
            comments = comments[:-1]
        found.append(any(pattern.search(text) for text in comments) is encrypting)
    return found


class _Heard:
    """The comments that stand directly before each item on the way to a slot."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], list[str]] = {}
        self._current: dict[tuple[object, ...], tuple[object, list[str]]] = {}

    def by(self, slot: Slot) -> list[str]:
        home = (slot.document, *slot.path)
        if slot.comment:
            assert slot.value is not None
            self._waiting.setdefault(home, []).append(slot.value.data.decode(errors="replace"))
            return [*self._above(home), *self._waiting[home]]
        return self._above(home)

    def _above(self, home: tuple[object, ...]) -> list[str]:
        texts: list[str] = []
        for length in range(1, len(home)):
            container, item = home[:length], home[length]
            current = self._current.get(container)
            if current is None or current[0] != item:
                current = self._current[container] = (item, self._waiting.pop(container, []))
            texts += current[1]
        return texts
