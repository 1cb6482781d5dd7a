"""The ports by which this program writes to the config repository: reports of its own, and changes for people to merge.

As in `ports`, each has a real adapter and one in memory, and adapters wrap every foreign exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ReportBranch(Protocol):
    """The branch that compliance is committed to: one writer, plumbing only, pushed against the expected old id."""

    def tip(self) -> str | None:
        """The branch's commit at the remote, None where it does not exist yet."""

    def paths(self) -> frozenset[str]:
        """Every file at the tip."""

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Contents at the tip of those of `paths` that exist."""

    def write(self, files: Mapping[str, bytes | None], message: str, *, at: int, instance: str) -> str | None:
        """Commit `files` (None deletes) with a trailer naming `instance`; the new commit, None when nothing differs.

        `at` is Unix milliseconds. Files that are not in `files` stay as the tip has them. On a push rejected for a
        moved tip the tree is rebuilt once on the new tip; `Refused` when that tip carries another instance's trailer.
        """


class Proposals(Protocol):
    """Changes to desired state, put before people on a branch of their own."""

    def propose(self, branch: str, base: str, files: Mapping[str, bytes | None], message: str, *, at: int) -> str:
        """Push a commit of `files` (None deletes) on top of commit `base` as the new branch `opsctl/EFFECT-ID`.

        The commit's id. Idempotent on `branch`: one that was proposed before is left as it is, and its tip returned.
        `at` is Unix milliseconds. `Refused` for another name, for edits that change nothing, or by the remote.
        """
