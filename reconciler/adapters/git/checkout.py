"""A person's working directory: its HEAD as a `Source`, and its files as they lie there."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.git.command import Git, GitFailed
from reconciler.adapters.git.objects import LARGEST_BLOB, blob_id
from reconciler.adapters.git.repository import Repository, under
from reconciler.core.ports import REGULAR, Entry
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Checkout(Repository):
    """`Source` on a repository of this machine, bare or not: what it tracks is its HEAD, and nothing is fetched."""

    def __init__(self, directory: Path) -> None:
        directory = directory.absolute()
        top = _top(directory)
        if top is None:
            raise Refused(f"{directory} is not a Git repository", remedy="run `git init` there, or name another")
        if top != directory.resolve():
            raise Refused(f"{directory} is inside the repository {top}", remedy=f"name {top}")
        super().__init__(Git(directory, bare=False, personal=True))

    def fetch(self, *, allow_rewrite: bool = False) -> str | None:
        """HEAD: a person's own repository is not asked whether its history grew."""
        del allow_rewrite
        return self.head()

    def uncommitted(self) -> list[str]:
        """Paths that differ from HEAD, untracked files that are not ignored included; empty for a bare repository."""
        if self._git.run("rev-parse", "--is-inside-work-tree").strip() != b"true":
            return []
        listing = self._git.run(
            "status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=all", "--no-renames"
        )
        return sorted(record[3:].decode(errors="surrogateescape") for record in listing.split(b"\0")[:-1])


@dataclass(frozen=True, slots=True)
class Worktree:
    """The files of a directory as they lie there at one moment: tracked, and untracked but not ignored.

    Answers `tree`, `blobs` and `read` as a `Source` does at a commit, with the ids that Git would give these
    contents. Content filters such as `eol` and LFS are not applied. A directory outside any repository counts as
    wholly untracked.
    """

    entries: Mapping[str, Entry]
    contents: Mapping[str, bytes]

    @classmethod
    def at(cls, directory: Path) -> Worktree:
        """Read `directory`, paths relative to it. `Unavailable` for a file that cannot be read."""
        directory = directory.absolute()
        if not directory.is_dir():
            raise Refused(f"{directory} is no directory", remedy="name the config repository's directory")
        entries = {}
        contents = {}
        for path in sorted(set(_paths(directory))):
            try:
                found = _entry(directory, path)
            except OSError as error:
                raise Unavailable(f"{directory / path}", error.strerror or str(error)) from error
            if found is not None:
                entry, content = found
                entries[path] = entry
                if content is not None:
                    contents[entry.oid] = content
        return cls(entries, contents)

    def tree(self) -> Mapping[str, Entry]:
        return self.entries

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        found = {}
        for oid in oids:
            if oid not in self.contents:
                raise Refused(f"object {oid} is too large", rule=f"a file has at most {LARGEST_BLOB >> 20} MiB")
            found[oid] = self.contents[oid]
        return found

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Contents by path; a path that ends in a slash names all files of a folder."""
        entries = under(self.entries, paths)
        contents = self.blobs(entry.oid for entry in entries)
        return {entry.path: contents[entry.oid] for entry in entries}

    def files(self) -> dict[str, bytes]:
        """Contents of all regular files by path, but of those too large to read."""
        return {path: self.contents[entry.oid] for path, entry in self.entries.items() if self._has(entry)}

    def others(self) -> list[Entry]:
        """What `files` leaves out."""
        return [entry for entry in self.entries.values() if not self._has(entry)]

    def _has(self, entry: Entry) -> bool:
        return entry.mode in REGULAR and entry.oid in self.contents


def _top(directory: Path) -> Path | None:
    """The root of the repository that holds `directory`; the repository itself where it is bare."""
    if not directory.is_dir():
        return None
    git = Git(directory, bare=False, personal=True)
    try:
        if git.run("rev-parse", "--is-bare-repository").strip() == b"true":
            return Path(os.fsdecode(git.run("rev-parse", "--absolute-git-dir").rstrip(b"\n"))).resolve()
        return Path(os.fsdecode(git.run("rev-parse", "--show-toplevel").rstrip(b"\n"))).resolve()
    except GitFailed as failure:
        if "dubious ownership" in failure.stderr:
            raise Refused(
                f"{directory} belongs to somebody else, and git does not trust it",
                remedy=f"if you do: git config --global --add safe.directory {directory}",
            ) from failure
        return None


def _paths(directory: Path) -> Iterator[str]:
    if _top(directory) is None:
        for folder, folders, names in os.walk(directory):
            folders[:] = [name for name in folders if name != ".git"]
            yield from (os.path.relpath(Path(folder, name), directory) for name in names)
        return
    git = Git(directory, bare=False, personal=True)
    listing = git.run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    yield from (os.fsdecode(path) for path in listing.split(b"\0")[:-1])


def _entry(directory: Path, path: str) -> tuple[Entry, bytes | None] | None:
    """A file as a tree would hold it, its content None when it is too large; None for what Git keeps no content of."""
    location = directory / path
    try:
        status = location.lstat()
    except (FileNotFoundError, NotADirectoryError):  # tracked, and removed from the work tree
        return None
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(location.readlink())
        return Entry(path, blob_id(target), "120000", len(target)), target
    if not stat.S_ISREG(status.st_mode):
        return None
    mode = "100755" if status.st_mode & stat.S_IXUSR else "100644"
    if status.st_size > LARGEST_BLOB:
        return Entry(path, _digest(location, status.st_size), mode, status.st_size), None
    content = location.read_bytes()
    return Entry(path, blob_id(content), mode, len(content)), content


def _digest(location: Path, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with location.open("rb") as file:
        while portion := file.read(1 << 20):
            digest.update(portion)
    return digest.hexdigest()
