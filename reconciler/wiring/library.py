"""Documents by name or by file: those of a repository's working tree, and those that come with the program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.capabilities.registry import DOCUMENTS, SUFFIXES
from reconciler.core.problem import Refused, Unavailable, nearest
from reconciler.documents import built_in
from reconciler.documents.checked import name_of
from reconciler.documents.document import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.documents.document import Reading

OURS = "built in"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A document's file. `owner` is `built in`, or empty for a file of the user's; `path` is how people know it."""

    name: str
    path: str
    owner: str
    data: bytes

    def read(self) -> Reading:
        """What comes of it."""
        return read(self.data, self.path)


def every(repo: Path) -> list[Shelved]:
    """All documents by name. One of the repository hides the one of the same name that is built in."""
    found = {shelved.name: shelved for shelved in _built_in()}
    found |= {shelved.name: shelved for shelved in _of_repository(repo)}
    return [found[name] for name in sorted(found)]


def one(name: str, repo: Path) -> Shelved:
    """The document of a file, or of that name. Raises `Refused` where there is none, `Unavailable` if unreadable."""
    path = Path(name)
    if path.is_file() or path.suffix in SUFFIXES:
        return of_file(path)
    known = {shelved.name: shelved for shelved in every(repo)}
    if name not in known:
        near = nearest(name, known)
        remedy = f"did you mean {near}?" if near else "`opsctl document list` shows those there are"
        raise Refused(f"there is no document {name}", "document", remedy)
    return known[name]


def of_file(path: Path) -> Shelved:
    """The document of a file. Raises `Unavailable` where it cannot be read."""
    try:
        return Shelved(name_of(str(path)), str(path), "", path.read_bytes())
    except OSError as error:
        raise Unavailable(str(path), error.strerror or str(error)) from error


def _built_in() -> Iterator[Shelved]:
    for name, (path, data) in built_in.texts().items():
        yield Shelved(name, path, OURS, data)


def _of_repository(repo: Path) -> Iterator[Shelved]:
    for path in sorted((repo / DOCUMENTS).rglob("*")):
        if path.is_file() and path.suffix in SUFFIXES:
            yield of_file(path)
