"""`Source`, `ReportBranch` and `Proposals` in memory: a graph of commits that several of them share, as at a remote."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.adapters.git.fast_import import AUTHOR
from reconciler.adapters.git.objects import blob_id
from reconciler.adapters.git.repository import mainline, under
from reconciler.adapters.git.stamp import (
    REPORT_BRANCH,
    is_written_here,
    require_own,
    require_proposal_name,
    stamped,
)
from reconciler.core.ports import PLAIN, Change, Commit, Entry
from reconciler.core.problem import Refused, Unavailable, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.core.ports import SignatureVerdict


@dataclass(frozen=True, slots=True)
class Stored:
    """A commit with its whole message and its tree. `signer` is an OpenSSH public key line, `intact` its signature."""

    commit: Commit
    message: str
    tree: Mapping[str, Entry]
    signer: str
    intact: bool


@dataclass
class MemoryRepository:
    """What a remote holds. `down` is the reason why it does not answer, empty while it does."""

    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Stored] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    down: str = ""
    _numbers: Iterator[int] = field(default_factory=count)

    def commit(
        self,
        branch: str | None,
        files: Mapping[str, bytes | None],
        message: str = "Change",
        *,
        base: str | None = None,
        merged: tuple[str, ...] = (),
        at: int = 0,
        author: str = AUTHOR,
        signer: str = "",
        intact: bool = True,
        modes: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Commit edits (None deletes) on top of `base`, by default the branch's tip, and move the branch there.

        `merged` are further parents, whose files are not taken. `at` is Unix milliseconds. `modes` are those of files
        that are no plain ones; the content of a link is where it leads.
        """
        base = base or self.branches.get(branch or "")
        tree = dict(self.commits[base].tree) if base else {}
        for path, content in files.items():
            if content is None:
                tree.pop(path, None)
            else:
                oid = blob_id(content)
                self.blobs[oid] = content
                mode = modes.get(path) or (tree[path].mode if path in tree else PLAIN)
                tree[path] = Entry(path, oid, mode, len(content))
        oid = hashlib.sha1(f"{next(self._numbers)} {base} {message}".encode(), usedforsecurity=False).hexdigest()
        subject = " ".join(message.strip().partition("\n\n")[0].split("\n"))
        commit = Commit(oid, ((base,) if base else ()) + merged, author, at // 1000 * 1000, subject)
        self.commits[oid] = Stored(commit, message, MappingProxyType(dict(sorted(tree.items()))), signer, intact)
        if branch is not None:
            self.branches[branch] = oid
        return oid

    def ancestors(self, oid: str) -> set[str]:
        """A commit and all it descends from."""
        found: set[str] = set()
        ahead = [oid]
        while ahead:
            at = ahead.pop()
            if at not in found:
                found.add(at)
                ahead += self.commits[at].commit.parents
        return found

    def answering(self) -> MemoryRepository:
        """Itself, or `Unavailable` while it is down."""
        if self.down:
            raise Unavailable("Git remote in memory", self.down)
        return self


class MemorySource:
    """`Source` on one branch of a `MemoryRepository`."""

    def __init__(self, repository: MemoryRepository, branch: str = "main") -> None:
        if is_written_here(branch):
            raise Refused(f"the branch {branch!r} is written by opsctl itself and never read as config")
        self._repository = repository
        self._branch = branch
        self._accepted: str | None = None

    def head(self) -> str | None:
        return self._accepted

    def fetch(self, *, allow_rewrite: bool = False) -> str | None:
        branches = self._repository.answering().branches
        fetched = branches.get(self._branch)
        if fetched is None:
            self._require_nothing_lost(sorted(name for name in branches if not is_written_here(name)))
        elif self._accepted is not None and not allow_rewrite and not self.is_ancestor(self._accepted, fetched):
            raise Refused(
                f"the history of {self._branch!r} was rewritten: last accepted {self._accepted}, now {fetched}",
                rule="history only grows",
                remedy="if it was meant, allow it once with --allow-rewrite",
            )
        self._accepted = fetched
        return fetched

    def resolve(self, rev: str) -> str:
        names = {name: oid for name, oid in self._repository.branches.items() if not is_written_here(name)}
        if self._accepted is not None:
            names |= {self._branch: self._accepted, "HEAD": self._accepted}
        oid = names.get(rev, rev)
        if oid not in self._repository.commits:
            near = nearest(rev, names)
            raise Refused(f"{rev!r} names no commit", remedy=f"did you mean {near!r}?" if near else "")
        return oid

    def is_ancestor(self, old: str, new: str) -> bool:
        self._stored(old)
        self._stored(new)
        return old in self._repository.ancestors(new)

    def commit(self, oid: str) -> Commit:
        return self._stored(oid).commit

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:
        return mainline(self.commit, oid, limit)

    def tree(self, oid: str) -> Mapping[str, Entry]:
        return self._stored(oid).tree

    def changes(self, old: str | None, new: str) -> list[Change]:
        before = self.tree(old) if old is not None else {}
        after = self.tree(new)
        pairs = ((path, before.get(path), after.get(path)) for path in sorted(before.keys() | after.keys()))
        return [Change(*pair) for pair in pairs if pair[1] != pair[2]]

    def touching(self, oid: str, folder: str, after: str | None = None) -> list[tuple[Commit, list[Change]]]:
        before = self._repository.ancestors(after) if after is not None else set()
        steps: list[tuple[Commit, list[Change]]] = []
        for commit in self.first_parents(oid, len(self._repository.commits)):
            if commit.oid in before:
                break
            parent = commit.parents[0] if commit.parents else None
            found = [change for change in self.changes(parent, commit.oid) if change.path.startswith(folder)]
            steps += [(commit, found)] if found else []
        return steps[::-1]

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        try:
            return {oid: self._repository.blobs[oid] for oid in oids}
        except KeyError as error:
            raise Unavailable(f"blob {error.args[0]}", "the repository does not hold it") from None

    def read(self, oid: str, paths: Iterable[str]) -> dict[str, bytes]:
        return {entry.path: self._repository.blobs[entry.oid] for entry in under(self.tree(oid), paths)}

    def last_change(self, oid: str, path: str, line: int) -> Commit:
        lines = self._lines(oid, path)
        if line > len(lines) or path not in self.tree(oid):
            raise Refused(f"{path}:{line} is no line of commit {oid}")
        newest = self.commit(oid)
        for parent in list(self.first_parents(oid, len(self._repository.commits)))[1:]:
            before = self._lines(parent.oid, path)
            if line < 1:
                if before != lines or path not in self.tree(parent.oid):
                    return newest
            else:
                line = _line_before(before, lines, line)
                if line < 1:
                    return newest
            newest, lines = parent, before
        return newest

    def lines_written(self, oid: str, path: str) -> list[str]:
        if path not in self.tree(oid):
            raise Refused(f"{path} is no file of commit {oid}")
        return [self.last_change(oid, path, line).oid for line in range(1, len(self._lines(oid, path)) + 1)]

    def signature(self, oid: str, allowed_signers: bytes) -> SignatureVerdict:
        stored = self._stored(oid)
        if not stored.signer:
            return "unsigned"
        if not stored.intact:
            return "bad"
        listed = any(stored.signer in line for line in allowed_signers.decode().splitlines())
        return "good" if listed else "unlisted"

    def _require_nothing_lost(self, others: list[str]) -> None:
        if self._accepted is not None:
            raise Refused(
                f"the branch {self._branch!r} is gone; last accepted {self._accepted}",
                rule="a vanished branch is not a deletion of what it declared",
                remedy="push the branch again",
            )
        if others:
            raise Refused(f"there is no branch {self._branch!r}", remedy=f"track one of {', '.join(others)}")

    def _stored(self, oid: str) -> Stored:
        if oid not in self._repository.commits:
            raise Unavailable(f"commit {oid}", "the repository does not hold it")
        return self._repository.commits[oid]

    def _lines(self, oid: str, path: str) -> list[bytes]:
        entry = self.tree(oid).get(path)
        return self._repository.blobs[entry.oid].splitlines() if entry else []


class MemoryReportBranch:
    """`ReportBranch` on a `MemoryRepository`."""

    def __init__(self, repository: MemoryRepository, branch: str = REPORT_BRANCH) -> None:
        self._repository = repository
        self._branch = branch
        self._known: str | None = None

    def tip(self) -> str | None:
        return self._repository.answering().branches.get(self._branch)

    def paths(self) -> frozenset[str]:
        tip = self.tip()
        return frozenset(self._repository.commits[tip].tree) if tip else frozenset()

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        tip = self.tip()
        tree = self._repository.commits[tip].tree if tip else {}
        return {path: self._repository.blobs[tree[path].oid] for path in paths if path in tree}

    def write(self, files: Mapping[str, bytes | None], message: str, *, at: int, instance: str) -> str | None:
        tip = self.tip()
        if tip is not None and tip != self._known:
            require_own(self._repository.commits[tip].message, instance, self._branch)
        self._known = tip or self._known  # a branch that vanished is put back with what it held
        tree = self._repository.commits[self._known].tree if self._known else {}
        edits = _differing(tree, files)
        if edits:
            self._known = self._repository.commit(
                self._branch, edits, stamped(message, instance), base=self._known, at=at
            )
        return self._known if edits else None


class MemoryProposals:
    """`Proposals` on a `MemoryRepository`."""

    def __init__(self, repository: MemoryRepository) -> None:
        self._repository = repository
        self._proposed: dict[str, str] = {}

    def propose(self, branch: str, base: str, files: Mapping[str, bytes | None], message: str, *, at: int) -> str:
        require_proposal_name(branch)
        repository = self._repository.answering()
        done = self._proposed.get(branch) or repository.branches.get(branch)
        if done is not None:
            return done
        if base not in repository.commits:
            raise Unavailable(f"commit {base}", "the repository does not hold it")
        edits = _differing(repository.commits[base].tree, files)
        if not edits:
            raise Refused(f"the proposal {branch!r} changes nothing at {base}")
        self._proposed[branch] = repository.commit(branch, edits, message, base=base, at=at)
        return self._proposed[branch]


def _differing(tree: Mapping[str, Entry], files: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    def held(path: str) -> str | None:
        return tree[path].oid if path in tree else None

    return {
        path: content
        for path, content in files.items()
        if held(path) != (None if content is None else blob_id(content))
    }


def _line_before(before: list[bytes], after: list[bytes], line: int) -> int:
    """Where line `line` of `after` stood in `before`, 0 where it is new."""
    for block in difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        if block.b < line <= block.b + block.size:
            return line - block.b + block.a
    return 0
