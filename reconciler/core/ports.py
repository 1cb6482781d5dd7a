"""The ports: what the house asks of the world outside, as Protocols.

Each port has a real adapter and a first-class in-memory one under `reconciler/adapters/`, and one contract suite that
both pass. Adapters wrap every foreign exception into the classes of `problem`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as people quote it. `at` is the committer's instant in Unix milliseconds; `author` is `Name <mail>`."""

    oid: str
    parents: tuple[str, ...]
    author: str
    at: int
    subject: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree. `mode` is Git's octal text (`100644`, `100755`, `120000`)."""

    path: str
    oid: str
    mode: str
    size: int = -1


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two commits; `old` or `new` is None where it does not exist on that side."""

    path: str
    old: Entry | None
    new: Entry | None


SignatureVerdict = Literal["good", "unsigned", "unlisted", "bad"]


class Source(Protocol):
    """A config repository, read at a commit without a checkout.

    Raises `Unavailable` when the remote does not answer, `Refused` for rewritten or unrelated history unless
    `allow_rewrite` was given, `Invalid`-free: contents are judged by `engine.load`.
    """

    def fetch(self, *, allow_rewrite: bool = False) -> str | None:
        """Fetch the tracked branch; its commit id, or None for an empty repository."""

    def resolve(self, rev: str) -> str:
        """The commit id that `rev` names; `Refused` with the nearest ref where there is none."""

    def is_ancestor(self, old: str, new: str) -> bool: ...

    def commit(self, oid: str) -> Commit: ...

    def first_parents(self, oid: str, limit: int) -> Iterator[Commit]:
        """`oid` and its first-parent ancestors, newest first, at most `limit`."""

    def tree(self, oid: str) -> Mapping[str, Entry]:
        """Every file of a commit by path."""

    def changes(self, old: str | None, new: str) -> list[Change]:
        """Paths that differ between two commits (`old` None: the empty tree)."""

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Contents by blob id, read in one batch."""

    def last_change(self, oid: str, path: str, line: int) -> Commit:
        """The commit that last wrote that line of that file, as seen from commit `oid` (blame)."""

    def signature(self, oid: str, allowed_signers: bytes) -> SignatureVerdict:
        """Whether the commit is signed by one of the keys in an OpenSSH allowed-signers file's text."""


class ReportBranch(Protocol):
    """The branch that compliance is committed to: one writer, plumbing only, pushed against the expected old id."""

    def tip(self) -> str | None:
        """The branch's commit at the remote, None where it does not exist yet."""

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Contents at the tip of those of `paths` that exist."""

    def write(self, files: Mapping[str, bytes | None], message: str, *, at: int, instance: str) -> str | None:
        """Commit `files` (None deletes) with a trailer naming `instance`; the new commit, None when nothing differs.

        On a push rejected for a moved tip the tree is rebuilt once on the new tip; `Refused` when that tip carries
        another instance's trailer.
        """
