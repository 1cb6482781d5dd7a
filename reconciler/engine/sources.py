"""Sources: the files of a commit as compiling asks for them, and what was made of them before.

Everything found is kept by what it depends on (a blob, a set of blobs), so a commit costs what it changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from agent.contract.canonical import digest
from agent.contract.wire import FileRef
from reconciler.capabilities.registry import is_document
from reconciler.core.parameters import Declared, History, Stored
from reconciler.core.ports import REGULAR
from reconciler.core.problem import Finding, Place, nearest
from reconciler.documents import built_in, templates
from reconciler.documents.checked import name_of
from reconciler.documents.compile import MAX_SOURCE_BYTES, SourceFile
from reconciler.documents.nesting import DocumentFile
from reconciler.engine.drafts import ReadFile, is_read, read_file
from reconciler.engine.step_folders import StepFolders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.core.parameters import Parameter, Selector
    from reconciler.core.ports import Change, Commit, Entry
    from reconciler.documents.custom.step import Folder

T = TypeVar("T")
LARGEST_MANIFEST = 4 << 20
"""Bytes of a file that declares something; a larger one is not read."""


PAST_KEPT = 2
"""Histories of parameters that are kept for the loads to come: the newest commits'."""
_BY_NAME = "document:"
"""Begins what a compiled thing depends on where it asked for a document by its name."""


class View(Protocol):
    """What loading asks of a repository; `core.ports.Source` is one."""

    def tree(self, oid: str) -> Mapping[str, Entry]:
        """Every file of a commit by path."""

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Contents by blob id."""

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:
        """`oid` and its first-parent ancestors, newest first, at most `limit`."""

    def touching(self, oid: str, folder: str, after: str | None = None) -> Iterable[tuple[Commit, list[Change]]] | None:
        """First-parent commits since `after` that changed files below a folder, oldest first; None if nobody knows."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A value, and what it was made of: blobs by path (None: no such file), parameters as they were referred to."""

    value: Any
    depends: Mapping[str, str | None]
    referred: Mapping[Selector, Parameter | None]


@dataclass(slots=True)
class Workings:
    """What loading found out, by what it depends on. Grows during one load, which works on a copy of the last one's."""

    files: dict[tuple[str, str], ReadFile] = field(default_factory=dict)
    made: dict[tuple[Any, ...], _Made] = field(default_factory=dict)
    refs: dict[str, SourceFile] = field(default_factory=dict)
    flaws: dict[str, tuple[templates.Flaw, ...]] = field(default_factory=dict)
    past: dict[str, History] = field(default_factory=dict)

    def copy(self) -> Workings:
        return Workings(self.files.copy(), self.made.copy(), self.refs.copy(), self.flaws.copy(), self.past.copy())

    def used_by(self, *trees: Mapping[str, Entry]) -> Workings:
        """Without what is made of blobs that these trees do not have at those paths."""
        present = {(path, entry.oid) for tree in trees for path, entry in tree.items()}
        oids = {oid for _, oid in present}
        return Workings(
            {key: file for key, file in self.files.items() if key in present},
            {key: made for key, made in self.made.items() if key[:2] in present and key[3:5] in present},
            {oid: ref for oid, ref in self.refs.items() if oid in oids},
            {oid: flaws for oid, flaws in self.flaws.items() if oid in oids},
            dict([*self.past.items()][-PAST_KEPT:]),
        )


class Sources:
    """The files of one commit's tree."""

    def __init__(self, view: View, tree: Mapping[str, Entry], workings: Workings) -> None:
        self._view, self._tree, self._workings = view, tree, workings
        self._used: dict[str, str | None] = {}
        self.kept = Referred(Stored(Declared(), lambda: None))
        """The commit's parameters, as compiling asks for them."""
        self._documents: dict[str, str] | None = None
        self._folders = StepFolders(tree, self._file, view.blobs)

    def read(self, wanted: Callable[[str], bool]) -> list[ReadFile]:
        """What the wanted files that declare something declare. New blobs are fetched in one batch."""
        files = self._workings.files
        entries = [entry for path, entry in self._tree.items() if wanted(path) and is_read(path)]
        new = [entry for entry in entries if _is_manifest(entry) and (entry.path, entry.oid) not in files]
        contents = self._view.blobs({entry.oid for entry in new}) if new else {}
        for entry in new:
            files[entry.path, entry.oid] = read_file(entry.path, entry.oid, contents[entry.oid])
        return [files[entry.path, entry.oid] if _is_manifest(entry) else _unreadable(entry) for entry in entries]

    def compiled(self, key: tuple[Any, ...], build: Callable[[Sources], T]) -> T:
        """What `build` makes of `key` and the files it asks for; found again where none of them differs."""
        made = self._workings.made
        found = made.get(key)
        if found is None or self._differs(found):
            self._used, self.kept = {}, Referred(self.kept.stored)
            found = made[key] = _Made(build(self), self._used, self.kept.found)
        value: T = found.value
        return value

    def history(self, commit: str) -> History | None:
        """The versions that parameters have at a commit, None where nobody knows."""
        past = self._workings.past
        if commit not in past and (found := History.at(self._view, commit, past)) is not None:
            past[commit] = found
        return past.get(commit)

    def source(self, path: str) -> SourceFile | None:
        """The regular file at that path, None where there is none; without a digest where it is too large to be one."""
        oid = self._used[path] = self._oid(path)
        if oid is None:
            return None
        size = self._tree[path].size
        if size > MAX_SOURCE_BYTES:
            return SourceFile(FileRef("", size), oid)
        refs = self._workings.refs
        if oid not in refs:
            data = self._view.blobs([oid])[oid]
            refs[oid] = SourceFile(FileRef(digest(data), len(data)), oid)
        return refs[oid]

    def template_flaws(self, path: str) -> Sequence[templates.Flaw]:
        """What is wrong with an existing file as a template."""
        oid = self._tree[path].oid
        flaws = self._workings.flaws
        if oid not in flaws:
            flaws[oid] = templates.flaws_of_file(self._view.blobs([oid])[oid])
        return flaws[oid]

    def nearest(self, path: str) -> str:
        """The existing file whose path is closest, or an empty string."""
        return nearest(path, (known for known in self._tree if not is_read(known)))

    def _differs(self, made: _Made) -> bool:
        find = self.kept.stored.find
        return any(self._oid(path) != oid for path, oid in made.depends.items()) or any(
            find(selector) != parameter for selector, parameter in made.referred.items()
        )

    def document(self, name: str) -> DocumentFile | None:
        """The document of that name, of the repository or built in; None where there is none."""
        oid = self._used[_BY_NAME + name] = self._oid(_BY_NAME + name)
        if oid is not None:
            return DocumentFile(self._by_name()[name], self._view.blobs([oid])[oid])
        known = built_in.texts().get(name)
        return DocumentFile(*known) if known is not None else None

    def nearest_document(self, name: str) -> str:
        """The existing document whose name is closest, or an empty string."""
        return nearest(name, self._by_name().keys() | built_in.texts().keys())

    def _by_name(self) -> Mapping[str, str]:
        """Paths of the repository's documents by their names."""
        if self._documents is None:
            self._documents = {
                name_of(path): path for path, entry in self._tree.items() if is_document(path) and _is_manifest(entry)
            }
        return self._documents

    def custom(self, name: str) -> Folder | None:
        """The step of the repository's own of that name, None where there is none. Raises `Invalid`."""
        folder = self._folders.path(name)
        self._used[folder] = self._oid(folder)
        return self._folders.find(name)

    def nearest_custom(self, name: str) -> str:
        """The step of the repository's own whose name is closest, or an empty string."""
        return self._folders.nearest(name)

    def _file(self, entry: Entry) -> ReadFile:
        """What a file declares, read now where it was not read before."""
        files = self._workings.files
        if not _is_manifest(entry):
            return _unreadable(entry)
        if (entry.path, entry.oid) not in files:
            files[entry.path, entry.oid] = read_file(entry.path, entry.oid, self._view.blobs([entry.oid])[entry.oid])
        return files[entry.path, entry.oid]

    def _oid(self, path: str) -> str | None:
        if path.endswith("/"):
            return self._folders.state(path)
        if path.startswith(_BY_NAME):
            path = self._by_name().get(path.removeprefix(_BY_NAME), "")
        entry = self._tree.get(path)
        return entry.oid if entry is not None and entry.mode in REGULAR else None


class Referred:
    """Parameters that somebody refers to; `found` remembers what was asked for."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.found: dict[Selector, Parameter | None] = {}

    def find(self, selector: Selector) -> Parameter | None:
        """The parameter as that version has it; None where there is no such version."""
        found = self.found[selector] = self.stored.find(selector)
        return found

    def nearest(self, selector: Selector) -> str:
        """What is there that is closest to a selector of which nothing was found, or an empty string."""
        return self.stored.nearest(selector)


def _is_manifest(entry: Entry) -> bool:
    return entry.mode in REGULAR and entry.size <= LARGEST_MANIFEST


def _unreadable(entry: Entry) -> ReadFile:
    here = Place(entry.path)
    if entry.mode in REGULAR:
        finding = Finding(f"this has {entry.size} bytes", here, f"at most {LARGEST_MANIFEST}")
    else:
        what = "a symbolic link" if entry.mode == "120000" else "no regular file"
        finding = Finding(f"this is {what}", here, "a regular file")
    return ReadFile(entry.path, unreadable=(finding,))
