"""Parameters as people and programs ask the server for them: those in force, to whom a Role grants them.

What is encrypted is opened for one answer and not kept; that it was is written down before the answer is given.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from reconciler.core.parameters import SECURE, History, Selector, absolute
from reconciler.core.problem import Refused
from reconciler.engine.parameter_views import Book

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.controller.permissions import Permissions
    from reconciler.controller.shelf import Shelf
    from reconciler.core.access import Subject
    from reconciler.core.cleartext import Cleartext
    from reconciler.core.parameters import Parameter, Stored
    from reconciler.core.parameters.history import Past
    from reconciler.core.ports import Unseal
    from reconciler.engine.catalog import Catalog

PARAMETER = "Parameter"
HISTORIES_KEPT = 2


def no_keys(parameter: Parameter) -> Cleartext:
    """`Unseal` of a server that was given no keys."""
    raise Refused(f"{parameter.name} is encrypted, and the server has no key", "", "name one in server.yaml: secrets")


class ParameterDesk:
    """Implements the API's `Parameters`. Methods may be called from any thread."""

    def __init__(self, shelf: Shelf, past: Past, permissions: Permissions, unseal: Unseal) -> None:
        self._shelf, self._past, self._permissions, self._unseal = shelf, past, permissions, unseal
        self._histories: dict[str, History] = {}
        self._book: tuple[Catalog, Book] | None = None
        self._lock = threading.Lock()

    def one(self, subject: Subject, name: str, *, decrypt: bool) -> dict[str, Any]:
        """One version of a parameter."""
        selector = Selector.parse(name)
        self._require(subject, [selector.name])
        view = self._book_now().one(name, decrypt=False)
        return self._opened(subject, [view], name)[0] if decrypt and view["Type"] == SECURE else view

    def below(self, subject: Subject, path: str, *, recursive: bool, decrypt: bool) -> list[dict[str, Any]]:
        """Those below a level of the hierarchy that the subject may read."""
        self._permissions.check(subject, "read", PARAMETER)
        mine = self._permissions.parameters(subject, "read")
        views = self._book_now().below(path, recursive=recursive, decrypt=False)
        views = [view for view in views if mine(view["Name"])]
        if not decrypt:
            return views
        secure = iter(self._opened(subject, [view for view in views if view["Type"] == SECURE]))
        return [next(secure) if view["Type"] == SECURE else view for view in views]

    def history(self, subject: Subject, name: str, *, decrypt: bool) -> list[dict[str, Any]]:
        """Every version of a parameter, oldest first."""
        self._require(subject, [absolute(name)])
        views = self._book_now().history(name, decrypt=False)
        if not decrypt or all(view["Type"] != SECURE for view in views):
            return views
        self._permit(subject, [absolute(name)])
        return self._book_now().history(name, decrypt=True)

    def stored(self, catalog: Catalog) -> Stored:
        """The parameters of a catalog, with the history that is remembered here."""
        return catalog.parameters.stored(lambda: self._history(catalog.commit))

    def _opened(self, subject: Subject, views: Iterable[dict[str, Any]], asked: str = "") -> list[dict[str, Any]]:
        """SecureStrings with their values. `asked` is how a single one was named."""
        names = [asked or view["Name"] for view in views]
        self._permit(subject, names)
        book = self._book_now()
        return [book.one(name, decrypt=True) for name in names]

    def _require(self, subject: Subject, names: Iterable[str]) -> None:
        self._permissions.check_parameters(subject, "read", names)

    def _permit(self, subject: Subject, names: list[str]) -> None:
        """Raises `Refused` unless the subject may have all of these opened; written down either way."""
        self._permissions.check_parameters(subject, "decrypt", [Selector.parse(name).name for name in names])
        self._permissions.note(subject, "decrypt", [f"{PARAMETER} {name}" for name in names])

    def _book_now(self) -> Book:
        catalog = self._shelf.catalog()
        with self._lock:
            if self._book is None or self._book[0] is not catalog:
                self._book = (catalog, Book(catalog.parameters, self.stored(catalog), self._unseal))
            return self._book[1]

    def _history(self, commit: str) -> History | None:
        with self._lock:
            if commit not in self._histories:
                found = History.at(self._past, commit, self._histories)
                if found is None:
                    return None
                self._histories = dict([*self._histories.items(), (commit, found)][-HISTORIES_KEPT:])
            return self._histories[commit]
