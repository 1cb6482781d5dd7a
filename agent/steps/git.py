"""ops:git. A checkout of a repository at a revision, as a detached HEAD; never at the cost of what was done there.

What somebody changed in it, or committed to no branch, fails the step unless `force` says that it may go. Untracked
files are nobody's business.
"""

from __future__ import annotations

import posixpath
from typing import List, Optional, Tuple

from agent.contract.claims import Claim
from agent.contract.inputs.files import GitInputs
from agent.contract.record import dataclass
from agent.host.port import Entry, Host
from agent.steps.diff import bounded
from agent.steps.step import Applied, Change, Given, LeftAlone, State, StepFailed
from agent.steps.working_tree import NoGit, WorkingTree

_OWN = "refs/opsctl/checkout"
"""Keeps what was last checked out from being nobody's commit, whatever becomes of its branch."""
_SHORT = 12
_MODE = 0o755


@dataclass(frozen=True)
class Observed:
    """What is at the path: empty or a checkout (`remote`, `commit`, what was `changed`, commits that could be `lost`).

    `wanted` is the commit that the revision means at the remote, empty where there is no git to ask.
    """

    entry: Optional[Entry]
    names: Tuple[str, ...] = ()
    wanted: str = ""
    remote: str = ""
    commit: str = ""
    changed: Tuple[str, ...] = ()
    lost: int = 0

    @property
    def checkout(self) -> bool:
        return ".git" in self.names


class GitStep:
    """A checkout at the commit that a revision of its remote means."""

    def observe(self, host: Host, desired: GitInputs, given: Given) -> Observed:
        del given
        entry = host.lstat(desired.path)
        if entry is not None and entry.kind != "directory":
            raise StepFailed("%s is %s where a checkout is declared; move it away" % (desired.path, entry))
        names = tuple(host.listdir(desired.path)) if entry else ()
        git = WorkingTree(host, desired)
        try:
            seen = Observed(entry, names, git.wanted())
        except NoGit:
            return Observed(entry, names)
        if not seen.checkout:
            return seen
        _belongs(host, desired, seen)
        commit = git.says("rev-parse", "--verify", "--quiet", "HEAD^{commit}", wanted=(0, 1))
        changed = git.says("status", "--porcelain", "--untracked-files=no").splitlines() if commit else []
        lost = git.says("rev-list", "--count", "HEAD", "--not", "--glob=refs/*") if commit else "0"
        remote = git.says("config", "--get", "remote.origin.url", wanted=(0, 1))
        return Observed(entry, names, seen.wanted, remote, commit, tuple(changed), int(lost))

    def changes(self, desired: GitInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        if observed.names and not observed.checkout:
            raise StepFailed("%s is no git repository, and not empty; move what is in it away" % desired.path)
        there = observed.commit[:_SHORT] + " of " + observed.remote if observed.commit else "absent"
        moves = not observed.wanted or observed.commit != observed.wanted
        if not (moves or observed.changed or observed.remote != desired.remote):
            return []
        if not desired.force:
            _keeps(desired, observed, moves=moves)
        edited = ", %d files changed" % len(observed.changed) if observed.changed else ""
        after = " ".join(filter(None, [observed.wanted[:_SHORT], "(%s) of" % desired.revision, desired.remote]))
        diff = bounded(["-" + line for line in observed.changed])
        return [Change(Claim("path", desired.path), there + edited, after, diff, observed.wanted)]

    def apply(self, host: Host, desired: GitInputs, changes: List[Change], given: Given) -> Applied:
        del given
        git = WorkingTree(host, desired)
        for change in changes:
            commit = change.detail or git.wanted()
            if host.lstat(desired.path) is None:
                _directory(host, desired)
            if host.lstat(posixpath.join(desired.path, ".git")) is None:
                git.says("init", "--quiet")
            git.says("config", "remote.origin.url", desired.remote)
            git.fetch(commit)
            git.says("checkout", "--quiet", *(["--force"] if desired.force else []), "--detach", commit)
            git.says("update-ref", _OWN, commit)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        return {"commit": observed.commit, "remote": observed.remote} if observed.checkout else None

    def current(self, host: Host, claim: Claim, left: State) -> State:
        """Whether something is there; it stays in any case."""
        return left if host.lstat(claim.name) else None

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del host, claim, prior, left
        raise LeftAlone("a checkout is not taken away, for somebody's work may be in it")


def _belongs(host: Host, desired: GitInputs, observed: Observed) -> None:
    assert observed.entry
    owner = host.user_name(observed.entry.uid)
    if owner != (desired.owner or "root") and host.privileged:
        raise StepFailed(
            "%s belongs to %s; name it as `owner`, or give it to %s" % (desired.path, owner, desired.owner or "root")
        )


def _keeps(desired: GitInputs, observed: Observed, *, moves: bool) -> None:
    """Fails where the checkout holds what nobody has elsewhere."""
    if observed.changed:
        files = ", ".join(line[3:] for line in observed.changed[:5])
        raise StepFailed(
            "%d files were changed in %s (%s); `force: true` lets them go"
            % (len(observed.changed), desired.path, files)
        )
    if observed.lost and moves:
        raise StepFailed(
            "%s has %d commits that no branch has; `force: true` lets them go" % (desired.path, observed.lost)
        )


def _directory(host: Host, desired: GitInputs) -> None:
    host.mkdir(desired.path, _MODE)
    if desired.owner:
        uid = host.user_id(desired.owner)
        if uid is not None:
            host.chown(desired.path, uid, -1)
    host.sync_directory(posixpath.dirname(desired.path))
