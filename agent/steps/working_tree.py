"""git, asked and told about one checkout, as its owner.

Whoever may write to a checkout could have git run things by its configuration; so root never runs it in a checkout of
somebody else's. Hooks are not run, and nobody is asked for a password.
"""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

from agent.contract.inputs.files import GitInputs
from agent.host.port import Host, Ran
from agent.steps.execution import ended_well
from agent.steps.step import StepFailed
from agent.steps.user import account_of

_COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
_CREDENTIALS = re.compile(r"https?://[^/]*@")
PLAIN = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "protocol.ext.allow=never", "advice.detachedHead=false")
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes", "LC_ALL": "C"}
_LOOK_TIME, _TIME = 60.0, 1800.0


class NoGit(StepFailed):
    """There is no git on this node."""

    def __init__(self) -> None:
        super().__init__("this node has no git; declare its package before")


class WorkingTree:
    """git in the checkout, as its owner."""

    def __init__(self, host: Host, desired: GitInputs) -> None:
        if _CREDENTIALS.match(desired.remote) or desired.remote.startswith("-"):
            raise StepFailed("`remote` holds credentials or an option; let git have them from a helper or a key")
        self._host, self._desired = host, desired
        options = [word for setting in PLAIN for word in ("-c", setting)]
        as_owner = ["runuser", "-u", desired.owner, "--"] if desired.owner else []
        self._argv = [*as_owner, "git", *options]
        self._environment: Dict[str, str] = dict(_ENVIRONMENT)

    def says(self, *words: str, wanted: Tuple[int, ...] = (0,)) -> str:
        """What a command in the checkout prints."""
        return self._run(["-C", self._desired.path, *words], _TIME, wanted)

    def wanted(self) -> str:
        """The commit that the revision means. The remote is not asked about a commit's own name."""
        revision = self._desired.revision
        if _COMMIT.match(revision):
            return revision
        refs = ["refs/tags/%s^{}" % revision, "refs/tags/" + revision, "refs/heads/" + revision, revision]
        said = self._run(["ls-remote", "--", self._desired.remote, *refs], _LOOK_TIME, (0,))
        found: Dict[str, str] = {}
        for line in said.splitlines():
            commit, _, ref = line.partition("\t")
            found[ref] = commit
        commit = next((found[ref] for ref in refs if ref in found), "")
        if not commit:
            raise StepFailed("%s has no branch or tag %s" % (self._desired.remote, revision))
        return commit

    def fetch(self, commit: str) -> None:
        """Sees to it that the commit is there."""
        for refs in (["--tags", "--", "origin", "+refs/heads/*:refs/remotes/origin/*"], ["--", "origin", commit]):
            if self._has(commit):
                return
            self.says("fetch", "--quiet", "--force", "--no-recurse-submodules", *refs)

    def _has(self, commit: str) -> bool:
        return bool(self.says("rev-parse", "--verify", "--quiet", commit + "^{commit}", wanted=(0, 1, 128)))

    def _run(self, words: List[str], timeout: float, wanted: Tuple[int, ...]) -> str:
        if self._desired.owner and "HOME" not in self._environment:
            account = account_of(self._host, self._desired.owner)
            if account is None:
                raise StepFailed(
                    "there is no user %s on this node; declare it with ops:user before" % self._desired.owner
                )
            self._environment["HOME"] = account.home
        try:
            ran: Ran = self._host.run([*self._argv, *words], env=self._environment, timeout=timeout)
        except FileNotFoundError:
            raise NoGit from None
        if ran.rc == 127 and self._desired.owner:
            raise NoGit
        ended_well(ran, "git %s" % next(w for w in words if w[:1] not in "-/"), timeout, wanted)
        return ran.stdout.decode("utf-8", "replace").rstrip("\n")
