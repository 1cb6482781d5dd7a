"""Documents that can be run by name: those of the revision in force, and behind them those that are built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.problem import Refused, Waiting, nearest
from reconciler.core.resource import uid
from reconciler.documents import document as documents
from reconciler.documents.programs import takes_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.controller.state import State
    from reconciler.core.ports import Source
    from reconciler.documents.document import Document
    from reconciler.engine.catalog import Catalog


class Shelf:
    """May be asked from any thread. `built_in` is asked once, when a name is not the repository's."""

    def __init__(self, state: State, source: Source, built_in: Callable[[], Mapping[str, tuple[str, bytes]]]) -> None:
        self._state, self._source, self._read = state, source, built_in
        self._built_in: dict[str, tuple[Document, bytes]] | None = None

    def catalog(self) -> Catalog:
        """The one in force. Raises `Waiting` before the first."""
        if self._state.catalog is None:
            raise Waiting(self._state.problems.get("fetch") or "a first commit on the tracked branch")
        return self._state.catalog

    def named(self, name: str) -> Document:
        """The document of that name; one of the repository hides the one that is built in. Raises `Refused`."""
        known = self.catalog().documents
        if name in known:
            return known[name]
        built_in = self._ours()
        if name in built_in:
            return built_in[name][0]
        near = nearest(name, (*known, *built_in))
        raise Refused(f"there is no document {name}", "document", f"did you mean {near}?" if near else "")

    def all(self) -> list[tuple[Document, str]]:
        """Every document by its name, with whose it is: `Self` for the repository's, `Amazon` for what is built in."""
        known = self.catalog().documents
        built_in = {name: document for name, (document, _) in self._ours().items() if name not in known}
        found = [(one, "Self") for one in known.values()] + [(one, "Amazon") for one in built_in.values()]
        return sorted(found, key=lambda one: one[0].name)

    def is_reviewed(self, document: Document) -> bool:
        """Whether what a document found by its name runs is known: not a program that whoever runs it gives it."""
        return self.catalog().documents.get(document.name) is document or not takes_programs(document)

    def text(self, document: Document) -> bytes:
        """The text of a document that was found by its name."""
        catalog = self.catalog()
        if catalog.documents.get(document.name) is document:
            revision = catalog.resources[uid("Document", document.name)].revision
            return self._source.read(revision, [document.path])[document.path]
        return self._ours()[document.name][1]

    def _ours(self) -> Mapping[str, tuple[Document, bytes]]:
        if self._built_in is None:
            found = {name: (documents.load(data, path), data) for name, (path, data) in self._read().items()}
            self._built_in = found
        return self._built_in
