"""Remotes to test against: a bare repository written with plain git, and one in memory, driven in the same words."""

from __future__ import annotations

import json
import os
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from reconciler.adapters.git import (
    GitProposals,
    GitReportBranch,
    MemoryProposals,
    MemoryReportBranch,
    MemoryRepository,
    MemorySource,
    Mirror,
    Remote,
)
from tests.committer import committer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reconciler.core.git_ports import Proposals, ReportBranch
    from reconciler.core.ports import Source

AUTHOR = "Ada Lovelace <ada@example.com>"


@dataclass(frozen=True, slots=True)
class Key:
    """An SSH key pair: the path of the private half, and the public half as one line `ssh-ed25519 AAAA...`."""

    private: Path
    public: str

    def as_allowed_signer(self) -> bytes:
        return f'ada@example.com namespaces="git" {self.public}\n'.encode()


@dataclass(frozen=True, slots=True)
class Edit:
    """A commit to be made: `files` (None deletes) on top of `base`, with `merged` as further parents.

    `at` is Unix milliseconds; a `key` signs it, which is worth nothing where it is not `intact`.
    """

    files: Mapping[str, bytes | None]
    message: str = "Change"
    base: str | None = None
    merged: tuple[str, ...] = ()
    at: int = 0
    author: str = AUTHOR
    key: Key | None = None
    intact: bool = True


class AnyRemote(ABC):
    """What the contract suites do to a remote, behind the adapters' backs."""

    def commit(self, branch: str | None, files: Mapping[str, bytes | None], message: str = "Change", **how: Any) -> str:
        """Commit as an `Edit` says, by default on top of the branch, which moves there; the commit's id."""
        edit = Edit(files, message, **how)
        if edit.base is None and branch is not None:
            edit = replace(edit, base=self.tip(branch))
        oid = self.made(edit)
        if branch is not None:
            self.point(branch, oid)
        return oid

    @abstractmethod
    def made(self, edit: Edit) -> str: ...

    @abstractmethod
    def point(self, branch: str, oid: str | None) -> None: ...

    @abstractmethod
    def tip(self, branch: str) -> str | None: ...

    @abstractmethod
    def files(self, oid: str) -> dict[str, bytes]: ...

    @abstractmethod
    def message(self, oid: str) -> str: ...

    @abstractmethod
    def parents(self, oid: str) -> tuple[str, ...]: ...

    @abstractmethod
    def set_down(self, down: bool) -> None: ...

    @abstractmethod
    def source(self, branch: str = "main") -> Source: ...

    @abstractmethod
    def reports(self) -> ReportBranch: ...

    @abstractmethod
    def proposals(self) -> Proposals: ...


@dataclass
class RealRemote(AnyRemote):
    """A bare repository in `directory`; adapters keep their own below it."""

    directory: Path
    opened: list[Mirror | GitReportBranch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = self.directory / "remote.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.path)], check=True, env=environment())

    def git(self, *arguments: str, stdin: bytes = b"", **variables: str) -> bytes:
        done = subprocess.run(
            ["git", f"--git-dir={self.path}", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            env=environment() | variables,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def made(self, edit: Edit) -> str:
        name, _, mail = edit.author.removesuffix(">").partition(" <")
        who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_COMMITTER_DATE": f"@{edit.at // 1000} +0200"}
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={edit.key.private}"] if edit.key else []
        parents = [word for parent in (edit.base, *edit.merged) if parent for word in ("-p", parent)]
        tree, message = self._tree(edit.base, edit.files), edit.message.encode()
        signed = ["-S"] if edit.key else []
        oid = self.git(*signing, "commit-tree", *signed, *parents, "-F", "-", tree, stdin=message, **who)
        commit = oid.decode().strip()
        if edit.intact:
            return commit
        forged = self.git("cat-file", "commit", commit).replace(message, b"Something else")
        return self.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=forged).decode().strip()

    def _tree(self, base: str | None, files: Mapping[str, bytes | None]) -> str:
        edits = []
        for path, content in files.items():
            quoted = json.dumps(path, ensure_ascii=False).encode()
            if content is None:
                edits.append(b"D %s\n" % quoted)
            else:
                edits.append(b"M 100644 inline %s\ndata %d\n%s\n" % (quoted, len(content), content))
        start = b"reset refs/scratch\ncommit refs/scratch\ncommitter A <a@example.com> 0 +0000\ndata 0\n"
        onto = b"from %s\n" % base.encode() if base else b""
        self.git("fast-import", "--quiet", "--force", stdin=start + onto + b"".join(edits))
        tree = self.git("rev-parse", "refs/scratch^{tree}").decode().strip()
        self.git("update-ref", "-d", "refs/scratch")
        return tree

    def point(self, branch: str, oid: str | None) -> None:
        self.git("update-ref", *([f"refs/heads/{branch}", oid] if oid else ["-d", f"refs/heads/{branch}"]))

    def tip(self, branch: str) -> str | None:
        listing = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return listing.decode().strip() or None

    def files(self, oid: str) -> dict[str, bytes]:
        paths = self.git("ls-tree", "-r", "-z", "--name-only", oid).decode().split("\0")[:-1]
        return {path: self.git("cat-file", "blob", f"{oid}:{path}") for path in paths}

    def message(self, oid: str) -> str:
        return self.git("show", "-s", "--format=%B", oid).decode()

    def parents(self, oid: str) -> tuple[str, ...]:
        return tuple(self.git("show", "-s", "--format=%P", oid).decode().split())

    def set_down(self, down: bool) -> None:
        away = self.path.with_suffix(".away")
        (self.path.rename(away)) if down else (away.rename(self.path))

    def source(self, branch: str = "main") -> Mirror:
        mirror = Mirror(self.directory / "state" / "mirror", Remote.parse(str(self.path)), branch)
        self.opened.append(mirror)
        return mirror

    def reports(self) -> GitReportBranch:
        number = len(self.opened)
        reports = GitReportBranch(self.directory / "state" / f"reports-{number}", Remote.parse(str(self.path)))
        self.opened.append(reports)
        return reports

    def proposals(self) -> GitProposals:
        return GitProposals(self.directory / "state" / "mirror", Remote.parse(str(self.path)))

    def close(self) -> None:
        for adapter in self.opened:
            adapter.close()


@dataclass
class MemoryRemote(AnyRemote):
    """A `MemoryRepository` in the words of `AnyRemote`."""

    repository: MemoryRepository = field(default_factory=MemoryRepository)

    def made(self, edit: Edit) -> str:
        signer = edit.key.public if edit.key else ""
        return self.repository.commit(
            None,
            edit.files,
            edit.message,
            base=edit.base,
            merged=edit.merged,
            at=edit.at,
            author=edit.author,
            signer=signer,
            intact=edit.intact,
        )

    def point(self, branch: str, oid: str | None) -> None:
        if oid is None:
            del self.repository.branches[branch]
        else:
            self.repository.branches[branch] = oid

    def tip(self, branch: str) -> str | None:
        return self.repository.branches.get(branch)

    def files(self, oid: str) -> dict[str, bytes]:
        tree = self.repository.commits[oid].tree
        return {path: self.repository.blobs[entry.oid] for path, entry in tree.items()}

    def message(self, oid: str) -> str:
        return self.repository.commits[oid].message

    def parents(self, oid: str) -> tuple[str, ...]:
        return self.repository.commits[oid].commit.parents

    def set_down(self, down: bool) -> None:
        self.repository.down = "connection refused" if down else ""

    def source(self, branch: str = "main") -> MemorySource:
        return MemorySource(self.repository, branch)

    def reports(self) -> MemoryReportBranch:
        return MemoryReportBranch(self.repository)

    def proposals(self) -> MemoryProposals:
        return MemoryProposals(self.repository)


def environment() -> dict[str, str]:
    """The environment for plain git: no configuration but its own, a name for the committer."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | committer("Ada Lovelace", "ada@example.com")
