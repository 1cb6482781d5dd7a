"""Whose word counts on `access/`: the first commit that an empty state accepts, and then signed commits only.

What is judged is the commit that made `access/` what it is at a revision. It must be signed by a key in
`server.yaml: accessSigners` and come after the commit trusted before it: otherwise whoever may push could bring back an
older, signed state, with operators in it who have left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.capabilities.registry import ACCESS
from reconciler.core.problem import Unavailable

if TYPE_CHECKING:
    from reconciler.core.ports import Source

LOOK_BACK = 200
"""Commits searched for the one that made `access/` what it is."""


@dataclass(frozen=True, slots=True)
class Access:
    """The commit whose `access/` counts at a revision; why that is not the revision's own, where it is not."""

    commit: str
    problem: str = ""


class AccessTrust:
    """Reads the repository only; may be asked from any thread. `signers` is an OpenSSH allowed-signers file's text.

    `anew`: where a rewritten history has lost the commit trusted so far, it may begin with a trust root of its own.
    """

    def __init__(self, source: Source, signers: bytes, *, anew: bool = False) -> None:
        self._source, self._signers, self._anew = source, signers, anew
        self._made_by: dict[str, str] = {}

    def at(self, revision: str, trusted: str | None) -> Access:
        """What counts at a revision where `trusted` counted until now; None where nothing did: a trust root."""
        made_by = self._maker(revision)
        if trusted is None or (self._anew and not self._holds(trusted)):
            return Access(made_by or revision)
        if self._files(revision) == self._files(trusted):
            lasts = self._source.is_ancestor(trusted, revision)
            return Access(trusted if lasts else made_by or revision)
        if made_by is None:
            return Access(trusted, f"changes under {ACCESS} are not in force: they are over {LOOK_BACK} commits old")
        if why := self._objection(made_by, trusted):
            return Access(trusted, f"changes under {ACCESS} up to {made_by[:12]} are not in force: {why}")
        return Access(made_by)

    def _holds(self, commit: str) -> bool:
        try:
            self._source.commit(commit)
        except Unavailable:
            return False
        return True

    def _objection(self, made_by: str, trusted: str) -> str:
        if not self._signers:
            return f"{_WANTED}, and none is listed there"
        verdict = self._source.signature(made_by, self._signers)
        if verdict != "good":
            return f"the commit is {_SAID[verdict]}; {_WANTED}"
        if not self._source.is_ancestor(trusted, made_by):
            return f"the commit does not come after {trusted[:12]}, which is: sign a new commit that makes the change"
        return ""

    def _maker(self, revision: str) -> str | None:
        """The commit that made `access/` as it is there: the last of those that have it so; None if it is too old."""
        wanted = self._files(revision)
        passed: list[str] = []
        at: str | None = revision
        while at is not None and at not in self._made_by:
            if len(passed) == LOOK_BACK:
                return None
            passed.append(at)
            at = next((parent for parent in self._source.commit(at).parents if self._files(parent) == wanted), None)
        found = passed[-1] if at is None else self._made_by[at]
        self._made_by.update(dict.fromkeys(passed, found))
        return found

    def _files(self, revision: str) -> dict[str, tuple[str, str]]:
        tree = self._source.tree(revision)
        return {path: (entry.mode, entry.oid) for path, entry in tree.items() if path.startswith(ACCESS)}


_WANTED = "it has to be signed by a key in server.yaml: accessSigners"
_SAID = {"unsigned": "not signed", "unlisted": "signed by another key", "bad": "signed, but not as it is now"}
