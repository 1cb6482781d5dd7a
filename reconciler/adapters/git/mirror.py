"""`Source` on a mirror under the state directory, fetched from where the fleet's repository lives."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from reconciler.adapters.git import storage
from reconciler.adapters.git.remote import HEADS, Advertised, Remote
from reconciler.adapters.git.repository import Repository
from reconciler.adapters.git.stamp import PROPOSAL_PREFIX, REPORT_BRANCH, is_written_here
from reconciler.core.problem import Refused, Unavailable, nearest

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST_FETCH = 2 << 30  # bytes of one pack, a multiple of 512
_REMOTE_BRANCHES = "refs/remotes/origin/"
# Everything but what opsctl itself writes there: reports and proposals are never read as config.
_REFSPECS = (
    f"+refs/heads/*:{_REMOTE_BRANCHES}*",
    "+refs/tags/*:refs/tags/*",
    f"^refs/heads/{REPORT_BRANCH}",
    f"^refs/heads/{PROPOSAL_PREFIX}*",
)
_SETTINGS = {"fetch.unpackLimit": "1"}


class Mirror(Repository):
    """A bare copy of `remote` in `directory`, of which `refs/heads/BRANCH` is the commit accepted last.

    `branch` is the tracked one; None means the one that the remote's HEAD names, or else its only one. Other branches
    and tags are kept too, so that `resolve` finds them; they do not move what is accepted.
    """

    def __init__(self, directory: Path, remote: Remote, branch: str | None = None) -> None:
        if branch is not None and is_written_here(branch):
            raise Refused(
                f"the branch {branch!r} is written by opsctl itself and never read as config",
                remedy="track the branch that people commit to",
            )
        super().__init__(storage.opened(directory, _SETTINGS))
        self._remote = remote
        self._branch = branch
        self._fetching = threading.Lock()

    def __str__(self) -> str:
        return str(self._remote)

    def fetch(self, *, allow_rewrite: bool = False) -> str | None:
        with self._fetching:  # two at once would take the same refs for their own
            return self._fetch(allow_rewrite=allow_rewrite)

    def _fetch(self, *, allow_rewrite: bool) -> str | None:
        accepted = self.head()
        advertised = self._remote.advertised(self._git, "refs/heads/*", "refs/tags/*")
        branch = self._tracked(advertised)
        if branch is None:
            self._require_nothing_lost(accepted)
            return None
        if self._refs_here(advertised) != self._seen():
            self._download()
        fetched = self._objects.identify(f"{_REMOTE_BRANCHES}{branch}^{{commit}}")
        if fetched is None:  # removed between the two questions; the next fetch will say so
            return accepted
        if accepted not in (None, fetched) and not allow_rewrite:
            self._require_descent(branch, accepted, fetched)
        if accepted != fetched:
            self._accept(branch, fetched)
        return fetched

    def _prefixes(self) -> tuple[str, ...]:
        return ("refs/heads/", _REMOTE_BRANCHES, "refs/tags/")

    def _tracked(self, advertised: Advertised) -> str | None:
        """The branch to follow, None where the remote has none for us."""
        candidates = sorted(branch for branch in advertised.branches() if not is_written_here(branch))
        wanted = self._branch or advertised.default
        if wanted in candidates:
            return wanted
        if self._branch is None and len(candidates) == 1:
            return candidates[0]
        if not candidates:
            return None
        near = nearest(self._branch or "", candidates)
        raise Refused(
            f"{self} has no branch {self._branch!r}" if self._branch else f"{self} names no main branch",
            remedy=f"did you mean {near!r}?" if near else f"track one of {', '.join(candidates[:10])}",
        )

    def _require_nothing_lost(self, accepted: str | None) -> None:
        if accepted is not None:
            raise Refused(
                f"{self} has no branch to read any more; last accepted {accepted}",
                rule="a vanished branch is not a deletion of what it declared",
                remedy="push the branch again",
            )

    def _download(self) -> None:
        try:
            self._remote.call(
                self._git,
                "fetch",
                "--quiet",
                "--prune",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                self._remote.address,
                *_REFSPECS,
                largest_file=_LARGEST_FETCH,
            )
        except Unavailable:
            if storage.sweep(self._git) < _LARGEST_FETCH:
                raise
            raise Refused(
                f"{self} sent more than {_LARGEST_FETCH >> 10} KiB at once",
                remedy="take large files out of the repository's history",
            ) from None
        storage.packed(self._git)

    def _refs_here(self, advertised: Advertised) -> dict[str, str]:
        """The advertised refs under the names that a fetch gives them."""
        branches = {
            _REMOTE_BRANCHES + name: oid for name, oid in advertised.branches().items() if not is_written_here(name)
        }
        return branches | {name: oid for name, oid in advertised.refs.items() if name.startswith("refs/tags/")}

    def _seen(self) -> dict[str, str]:
        """The remote's refs as last fetched, tags included."""
        listing = self._git.run(
            "for-each-ref", "--format=%(objectname) %(refname)", "--", _REMOTE_BRANCHES, "refs/tags/"
        )
        pairs = (line.split(" ", 1) for line in listing.decode(errors="surrogateescape").split("\n")[:-1])
        return {name: oid for oid, name in pairs}

    def _require_descent(self, branch: str, accepted: str, fetched: str) -> None:
        if self.is_ancestor(accepted, fetched):
            return
        related = self._git.attempt("merge-base", accepted, fetched).status == 0
        raise Refused(
            f"the history of {branch!r} at {self} was {'rewritten' if related else 'replaced'}: last accepted"
            f" {accepted}, now {fetched}, which {'does not contain it' if related else 'shares no commit with it'}",
            rule="history only grows",
            remedy="if it was meant, allow it once with --allow-rewrite",
        )

    def _accept(self, branch: str, oid: str) -> None:
        self._git.run("update-ref", f"{HEADS}{branch}", oid)
        before = self._git.run("symbolic-ref", "HEAD").decode().strip()
        if before != f"{HEADS}{branch}":
            self._git.run("symbolic-ref", "HEAD", f"{HEADS}{branch}")
            self._git.run("update-ref", "-d", before)
