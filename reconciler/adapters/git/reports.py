"""`ReportBranch`: compliance committed to a branch of the fleet's repository, from a bare copy of that branch alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from reconciler.adapters.git import fast_import, storage
from reconciler.adapters.git.command import GitFailed, failing_as
from reconciler.adapters.git.fast_import import Edit
from reconciler.adapters.git.objects import Objects, blob_id
from reconciler.adapters.git.remote import HEADS, Moved, Remote
from reconciler.adapters.git.stamp import REPORT_BRANCH, require_own, stamped
from reconciler.adapters.git.trees import listed
from reconciler.core.problem import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# The remote holds the truth and a damaged copy is fetched anew, so this copy does without fsync. One thread packs
# the few hundred objects of an interval sooner than several are started.
_SETTINGS = {"core.fsync": "none", "fetch.unpackLimit": "1", "pack.threads": "1"}


class GitReportBranch:
    """Writes one branch of `remote` from a bare repository in `directory`. Close it."""

    def __init__(self, directory: Path, remote: Remote, branch: str = REPORT_BRANCH) -> None:
        self._git = storage.opened(directory, _SETTINGS)
        self._objects = Objects(self._git)
        self._remote = remote
        self._branch = branch
        self._files: tuple[str, dict[str, str]] | None = None  # a commit and its blob ids by path
        self._lock = threading.Lock()

    def tip(self) -> str | None:
        return self._remote.tip(self._git, self._branch)

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        with self._lock:
            tip = self._fetched(self.tip())
            if tip is None:
                return {}
            files = self._listed(tip)
            wanted = {path: files[path] for path in paths if path in files}
            contents = self._objects.blobs(wanted.values())
            return {path: contents[oid] for path, oid in wanted.items()}

    def write(self, files: Mapping[str, bytes | None], message: str, *, at: int, instance: str) -> str | None:
        with self._lock:
            known = self._known()
            try:
                if known is None:
                    raise Moved(self.tip())
                return self._write_on(known, known, files, stamped(message, instance), at)
            except Moved as moved:
                base = self._adopted(moved.tip, instance)
                try:
                    return self._write_on(base, moved.tip, files, stamped(message, instance), at)
                except Moved:
                    raise Unavailable(f"branch {self._branch!r}", "others wrote to it twice meanwhile") from None

    def close(self) -> None:
        """End the processes that read for this branch."""
        self._objects.close()

    def _write_on(
        self, base: str | None, expected: str | None, files: Mapping[str, bytes | None], message: str, at: int
    ) -> str | None:
        held = self._listed(base)
        ids = {path: None if content is None else blob_id(content) for path, content in files.items()}
        edits = {path: Edit(files[path]) for path, oid in ids.items() if oid != held.get(path)}
        if not edits:
            return None
        new = fast_import.written(self._git, base, edits, message, at=at)
        self._remote.push(self._git, new, self._branch, expected=expected)
        self._remember(new)
        held |= {path: oid for path in edits if (oid := ids[path]) is not None}
        self._files = (new, {path: oid for path, oid in held.items() if files.get(path, b"") is not None})
        storage.packed(self._git)
        return new

    def _adopted(self, tip: str | None, instance: str) -> str | None:
        """Take the remote's tip as the base, or our own last commit where the remote has lost the branch."""
        if tip is None:
            return self._known()
        self._fetched(tip)
        message = self._objects.commit_text(tip).partition(b"\n\n")[2].decode(errors="replace")
        require_own(message, instance, self._branch)
        return tip

    def _known(self) -> str | None:
        """The tip as last pushed or fetched, None where this copy does not hold it whole."""
        try:
            tip = self._objects.identify(f"{HEADS}{self._branch}^{{commit}}")
            self._listed(tip)
        except (GitFailed, Unavailable):
            self._begin_anew()
            return None
        return tip

    def _fetched(self, tip: str | None) -> str | None:
        """The remote's tip, held here."""
        known = self._known()
        if tip is None or tip == known:
            return tip
        if known is None:
            self._begin_anew()  # a damaged ref would stand in the fetch's way
        ref = f"{HEADS}{self._branch}"
        self._remote.call(
            self._git, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self._remote.address, f"+{ref}:{ref}"
        )
        return self._known()

    def _listed(self, commit: str | None) -> dict[str, str]:
        if commit is None:
            return {}
        if self._files is None or self._files[0] != commit:
            entries = listed(self._git.run("ls-tree", "-rlz", commit))
            self._files = (commit, {entry.path: entry.oid for entry in entries})
        return dict(self._files[1])

    def _remember(self, tip: str) -> None:
        with failing_as(f"repository {self._git.directory}"):
            self._git.run("update-ref", f"{HEADS}{self._branch}", tip)

    def _begin_anew(self) -> None:
        self._objects.close()
        self._files = None
        storage.replaced(self._git)
