"""Parameters at a server, as the command line asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class RemoteParameters:
    """What `GET /parameters` answers, in the form that `engine.parameter_views.Book` has here."""

    def __init__(self, get: Callable[..., dict[str, Any]], items: Callable[..., list[dict[str, Any]]]) -> None:
        self._get, self._items = get, items

    def one(self, name: str, *, decrypt: bool) -> dict[str, Any]:
        return self._get("/parameters/one", name=name, decrypt=_word(decrypt))

    def below(self, path: str, *, recursive: bool, decrypt: bool) -> list[dict[str, Any]]:
        return self._items("/parameters", path=path, recursive=_word(recursive), decrypt=_word(decrypt))

    def history(self, name: str, *, decrypt: bool) -> list[dict[str, Any]]:
        return self._items("/parameters/history", name=name, decrypt=_word(decrypt))


def _word(value: bool) -> str:
    return "true" if value else "false"
