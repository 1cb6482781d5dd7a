"""The folders of steps of the repository's own at one commit, as compiling asks for them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from agent.contract.canonical import digest
from agent.contract.inputs.custom import HOME
from reconciler.core.ports import EXECUTABLE, LINK, REGULAR
from reconciler.core.problem import Invalid, nearest
from reconciler.documents.custom.manifest import name_at
from reconciler.documents.custom.step import Folder, flaws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reconciler.core.ports import Entry
    from reconciler.documents.custom.manifest import CustomStep
    from reconciler.engine.drafts import ReadFile

    Blobs = Callable[[Iterable[str]], dict[str, bytes]]


class StepFolders:
    """`read` says what a file declares, `blobs` gives contents by blob id."""

    def __init__(self, tree: Mapping[str, Entry], read: Callable[[Entry], ReadFile], blobs: Blobs) -> None:
        self._tree, self._read, self._blobs = tree, read, blobs

    @staticmethod
    def path(name: str) -> str:
        """Where a step's folder is, with its slash."""
        return f"{HOME}{name}/"

    def find(self, name: str) -> Folder | None:
        """The step of that name, None where there is none. Raises `Invalid`."""
        folder = self.path(name)
        entries = self._entries.get(folder, ())
        manifest = next((entry for entry in entries if name_at(entry.path) == name), None)
        if manifest is None:
            return None
        step = _step(self._read(manifest))
        links = [entry for entry in entries if entry.mode == LINK]
        targets = self._blobs({entry.oid for entry in links}) if links else {}
        regular = [entry for entry in entries if entry.mode in REGULAR]
        found = Folder(
            step,
            {entry.path.removeprefix(folder): entry.size for entry in regular},
            frozenset(entry.path.removeprefix(folder) for entry in regular if entry.mode == EXECUTABLE),
            {entry.path.removeprefix(folder): targets[entry.oid].decode(errors="replace") for entry in links},
        )
        if wrong := tuple(flaws(found)):
            raise Invalid(wrong)
        return found

    def nearest(self, name: str) -> str:
        """The step whose name is closest, or an empty string."""
        paths = (entry.path for entries in self._entries.values() for entry in entries)
        return nearest(name, filter(None, map(name_at, paths)))

    def state(self, folder: str) -> str | None:
        """What tells one content of a folder from the next; None where nothing is there."""
        entries = self._entries.get(folder)
        return digest("\n".join(map(repr, entries)).encode()) if entries else None

    @functools.cached_property
    def _entries(self) -> dict[str, list[Entry]]:
        """What is in each folder."""
        found: dict[str, list[Entry]] = {}
        for path in sorted(path for path in self._tree if path.startswith(HOME)):
            name, slash, _ = path.removeprefix(HOME).partition("/")
            if slash:
                found.setdefault(self.path(name), []).append(self._tree[path])
        return found


def _step(file: ReadFile) -> CustomStep:
    """The step that a manifest declares. Raises `Invalid`."""
    wrong = [*file.unreadable, *(finding for broken in file.broken for finding in broken.findings)]
    if wrong:
        raise Invalid(tuple(wrong))
    step: CustomStep = file.drafts[0].spec
    return step
