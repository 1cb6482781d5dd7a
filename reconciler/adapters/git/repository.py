"""The reading half of `Source`, on any repository of this machine: names, commits, trees, contents, blame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from reconciler.adapters.git import signatures
from reconciler.adapters.git.command import Git, GitFailed
from reconciler.adapters.git.objects import Kept, Objects, parse_commit
from reconciler.adapters.git.trees import Trees
from reconciler.core.problem import Refused, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from reconciler.core.ports import Change, Commit, Entry, SignatureVerdict

_COMMITS_KEPT = 4096
_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BLAMED_LINE = re.compile(rb"^([0-9a-f]{40}) \d+ \d+", re.MULTILINE)
_BLAME_SETTINGS = {"blame.ignoreRevsFile": "", "blame.blankBoundary": "false"}


class Repository:
    """A repository read at its commits; nothing is ever checked out. Safe to use from several threads; close it."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._objects = Objects(git)
        self._trees = Trees(git, self._objects)
        self._commits: Kept[Commit] = Kept(_COMMITS_KEPT, lambda _: 1)

    def head(self) -> str | None:
        return self._objects.identify("HEAD^{commit}")

    def resolve(self, rev: str) -> str:
        """See `Source`. A branch wins over a tag of the same name."""
        if not rev.isprintable() or len(rev) > 1000:
            raise Refused(f"{rev[:100]!r} names no commit", remedy="give a branch, a tag or a commit id")
        names = [rev] if _FULL_ID.fullmatch(rev) else [*(prefix + rev for prefix in self._prefixes()), rev]
        for name in names:
            oid = self._objects.identify(f"{name}^{{commit}}")
            if oid is not None:
                return oid
        known = nearest(rev, self._names())
        raise Refused(
            f"{rev!r} names no commit of {self}",
            remedy=f"did you mean {known!r}?" if known else "give a branch, a tag or a commit id",
        )

    def is_ancestor(self, old: str, new: str) -> bool:
        outcome = self._git.attempt("merge-base", "--is-ancestor", old, new)
        if outcome.status not in (0, 1):
            raise GitFailed(f"the history of {self}", outcome.status, outcome.stderr)
        return outcome.status == 0

    def commit(self, oid: str) -> Commit:
        commit = self._commits.get(oid)
        if commit is None:
            commit = parse_commit(oid, self._objects.commit_text(oid))
            self._commits.put(oid, commit)
        return commit

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:
        return mainline(self.commit, oid, limit)

    def tree(self, oid: str) -> Mapping[str, Entry]:
        return self._trees.tree(oid)

    def changes(self, old: str | None, new: str) -> list[Change]:
        return self._trees.changes(old, new)

    def touching(self, oid: str, folder: str, after: str | None = None) -> list[tuple[Commit, list[Change]]]:
        return [(self.commit(found), changes) for found, changes in self._trees.touching(oid, folder, after)]

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        return self._objects.blobs(oids)

    def read(self, oid: str, paths: Iterable[str]) -> dict[str, bytes]:
        entries = under(self.tree(oid), paths)
        contents = self.blobs(entry.oid for entry in entries)
        return {entry.path: contents[entry.oid] for entry in entries}

    def last_change(self, oid: str, path: str, line: int) -> Commit:
        self.commit(oid)  # a commit that is not there is no fault of the line
        if line < 1:
            found = self._git.run("rev-list", "-1", oid, "--", path).decode().strip()
        else:
            found = self._blamed(oid, path, line)
        if not found:
            raise Refused(f"{path} is in no commit up to {oid}")
        return self.commit(found)

    def lines_written(self, oid: str, path: str) -> list[str]:
        self.commit(oid)
        try:
            blamed = self._git.run("blame", "--porcelain", oid, "--", path, settings=_BLAME_SETTINGS)
        except GitFailed as failure:
            raise Refused(f"{path} is no file of commit {oid}: {failure.why}") from failure
        return [found.decode() for found in _BLAMED_LINE.findall(blamed)]

    def signature(self, oid: str, allowed_signers: bytes) -> SignatureVerdict:
        return signatures.verdict(self._git, oid, self._objects.commit_text(oid), allowed_signers)

    def close(self) -> None:
        """End the processes that read for this repository. Reading again starts them again."""
        self._objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self._git.directory)

    def _blamed(self, oid: str, path: str, line: int) -> str:
        try:
            blamed = self._git.run(
                "blame", "--porcelain", f"-L{line},{line}", oid, "--", path, settings=_BLAME_SETTINGS
            )
        except GitFailed as failure:
            raise Refused(f"{path}:{line} is no line of commit {oid}: {failure.why}") from failure
        return blamed.split(maxsplit=1)[0].decode()

    def _prefixes(self) -> tuple[str, ...]:
        """Where short names are looked for, first match wins."""
        return ("refs/heads/", "refs/tags/")

    def _names(self) -> list[str]:
        listing = self._git.run("for-each-ref", "--format=%(refname)", "--", *self._prefixes()).decode()
        return [
            name.removeprefix(prefix)
            for name in listing.split("\n")
            for prefix in self._prefixes()
            if name.startswith(prefix)
        ]


def mainline(commit: Callable[[str], Commit], oid: str, limit: int) -> Iterator[Commit]:
    """A commit and its first-parent ancestors, newest first, at most `limit`."""
    for _ in range(limit):
        found = commit(oid)
        yield found
        if not found.parents:
            return
        oid = found.parents[0]


def under(tree: Mapping[str, Entry], paths: Iterable[str]) -> list[Entry]:
    """The files of a tree that `paths` name: a file by its path, a folder's files by the path with a final slash."""
    wanted = set(paths)
    folders = tuple(path for path in wanted if path.endswith("/"))
    return [entry for path, entry in tree.items() if path in wanted or (folders and path.startswith(folders))]
