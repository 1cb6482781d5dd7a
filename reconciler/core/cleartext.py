"""A secret value in memory: what keeps it from being shown by accident."""

from __future__ import annotations

import hmac
from typing import Any, NoReturn, final

HIDDEN = "(sensitive)"


@final
class Cleartext:
    """The bytes of a secret. Whatever prints, formats, logs or serialises it gets `(sensitive)` or an error.

    Two are equal where their bytes are, compared in a time that does not tell where they differ. It has no hash: it is
    no key of a mapping, where it would outlive its use.
    """

    __slots__ = ("_data",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: bytes) -> None:
        self._data = data

    def reveal(self) -> bytes:
        """The bytes themselves. Whoever calls this answers for where they go."""
        return self._data

    def text(self) -> str:
        """The bytes as UTF-8 text. Raises `ValueError`, which shows nothing of them, where they are none."""
        try:
            return self._data.decode()
        except UnicodeDecodeError:
            raise ValueError("the value is no UTF-8 text") from None

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return bool(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cleartext):
            return NotImplemented
        return hmac.compare_digest(self._data, other._data)

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is not serialised")
