"""`Proposals`: file edits pushed as a commit on a new branch, for a person to review and merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.adapters.git import fast_import
from reconciler.adapters.git.command import Git
from reconciler.adapters.git.fast_import import Edit
from reconciler.adapters.git.objects import blob_id
from reconciler.adapters.git.remote import Moved, Remote
from reconciler.adapters.git.stamp import require_proposal_name
from reconciler.adapters.git.trees import listed
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reconciler.core.ports import Entry

_PROPOSED = "refs/opsctl/proposed/"


class GitProposals:
    """Proposes to `remote` from the mirror of it in `directory`, which holds the commits they start from."""

    def __init__(self, directory: Path, remote: Remote) -> None:
        self._git = Git(directory, bare=True)
        self._remote = remote

    def propose(self, branch: str, base: str, files: Mapping[str, bytes | None], message: str, *, at: int) -> str:
        require_proposal_name(branch)
        done = self._proposed(branch) or self._remote.tip(self._git, branch)
        if done is not None:
            return done
        edits = self._edits(base, files)
        if not edits:
            raise Refused(f"the proposal {branch!r} changes nothing at {base}")
        new = fast_import.written(self._git, base, edits, message, at=at)
        try:
            self._remote.push(self._git, new, branch, expected=None)
        except Moved as moved:
            return moved.tip or new
        # Remembered here too, so that a branch merged and deleted since is not proposed again.
        self._git.run("update-ref", _PROPOSED + branch, new)
        return new

    def _proposed(self, branch: str) -> str | None:
        listing = self._git.run("for-each-ref", "--format=%(objectname)", "--", _PROPOSED + branch)
        return listing.decode().strip() or None

    def _edits(self, base: str, files: Mapping[str, bytes | None]) -> dict[str, Edit]:
        tree = {entry.path: entry for entry in listed(self._git.run("ls-tree", "-rlz", base))}
        return {path: edit for path, content in files.items() if (edit := _edit(tree.get(path), content)) is not None}


def _edit(entry: Entry | None, content: bytes | None) -> Edit | None:
    """What turns a file into `content`, keeping its mode; None where it is that already."""
    if content is None:
        return None if entry is None else Edit(None)
    if entry is None:
        return Edit(content)
    return None if entry.oid == blob_id(content) else Edit(content, entry.mode)
