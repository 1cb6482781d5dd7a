"""`ReportBranch`: compliance committed to a branch of the fleet's repository, from a bare copy of that branch alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from reconciler.adapters.git import fast_import, storage
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

    def paths(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._listed(self._fetched(self.tip())))

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
        message = stamped(message, instance)
        with self._lock:
            known = self._known()
            if known is None:
                tip = self.tip()
            else:
                try:
                    return self._write_on(known, known, files, message, at)
                except Moved as moved:
                    tip = moved.tip
            base = self._adopted(tip, instance)
            try:
                return self._write_on(base, tip, files, message, at)
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
        self._git.run("update-ref", HEADS + self._branch, new)
        self._files = (new, {path: oid for path, oid in (held | ids).items() if oid is not None})
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
        """The tip as last pushed or fetched; None, and a copy begun anew, where this one does not hold it whole."""
        try:
            tip = self._objects.identify(f"{HEADS}{self._branch}^{{commit}}")
            self._listed(tip)
        except Unavailable:
            tip = None
        if tip is None:
            self._objects.close()
            self._files = None
            storage.replaced(self._git)
        return tip

    def _fetched(self, tip: str | None) -> str | None:
        """The remote's tip, held here."""
        if tip is not None and tip != self._known():
            ref = HEADS + self._branch
            self._remote.call(
                self._git,
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                self._remote.address,
                f"+{ref}:{ref}",
            )
        return tip

    def _listed(self, commit: str | None) -> dict[str, str]:
        """Blob ids by path; reads every object's header, and so notices when one is missing."""
        if commit is None:
            return {}
        if self._files is None or self._files[0] != commit:
            entries = listed(self._git.run("ls-tree", "-rlz", commit))
            self._files = (commit, {entry.path: entry.oid for entry in entries})
        return self._files[1]
