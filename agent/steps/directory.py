"""ops:directory. One level: its own directory must be there. Absent removes it only when it is empty."""

from __future__ import annotations

import posixpath
from typing import Callable, List, Optional, Sequence, Set

from agent.contract.claims import Claim
from agent.contract.inputs.files import DirectoryInputs
from agent.contract.record import dataclass
from agent.host.port import Entry, Host
from agent.steps import attributes
from agent.steps.attributes import Attributes
from agent.steps.batch import DoneInBatches, in_turn
from agent.steps.step import Change, Given, LeftAlone, Planned, State, StepFailed

_DEFAULT_MODE = 0o755


@dataclass(frozen=True)
class Observed:
    """What is at the path; `within` are names in a directory that should go."""

    entry: Optional[Entry]
    attributes: Attributes = Attributes()
    within: int = 0
    sandbox: bool = False


class DirectoryStep(DoneInBatches):
    """A directory and its attributes."""

    def observe(self, host: Host, desired: DirectoryInputs, given: Given) -> Observed:
        del given
        entry = host.lstat(desired.path)
        if entry is None or entry.kind != "directory":
            return Observed(entry, sandbox=host.sandbox)
        within = len(host.listdir(desired.path)) if desired.state == "absent" else 0
        return Observed(entry, attributes.seen(host, entry, desired), within, host.sandbox)

    def changes(self, desired: DirectoryInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        claim = Claim("path", desired.path)
        entry = observed.entry
        if entry is not None and entry.kind != "directory":
            raise StepFailed("%s is %s where a directory is declared; move it away" % (desired.path, entry))
        if desired.state == "absent":
            return self._removal(claim, observed)
        want = attributes.wanted(desired, observed.sandbox)
        if entry is None:
            return [Change(claim, "absent", ", ".join(["directory", *attributes.described(want)]))]
        differ = attributes.differences(want, observed.attributes)
        if not differ:
            return []
        return [Change(claim, ", ".join(d.before for d in differ), ", ".join(d.after for d in differ), "", entry)]

    def _removal(self, claim: Claim, observed: Observed) -> List[Change]:
        if observed.entry is None:
            return []
        if observed.within:
            raise StepFailed(
                "%s is not empty (%d entries); only an empty one is removed" % (claim.name, observed.within)
            )
        return [Change(claim, "directory", "absent")]

    def apply_all(self, host: Host, batch: Sequence[Planned], begin: Callable[[], None]) -> List[Optional[StepFailed]]:
        """Each in turn; each directory that holds some is synced once."""
        return in_turn(host, batch, begin, lambda planned, touched: _apply(host, planned, touched))

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        entry = observed.entry
        return entry and {"mode": entry.mode, "uid": entry.uid, "gid": entry.gid}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        entry = host.lstat(claim.name)
        if entry is not None and entry.kind != "directory":
            raise LeftAlone("it is %s now" % (entry,))
        return self.state(Observed(entry), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        if prior is None:
            if host.listdir(claim.name):
                raise LeftAlone("it is not empty")
            host.rmdir(claim.name)
        else:
            if left is None:
                host.mkdir(claim.name, prior["mode"])
            if not host.sandbox:
                host.chown(claim.name, prior["uid"], prior["gid"])
            host.chmod(claim.name, prior["mode"])
        host.sync_directory(posixpath.dirname(claim.name))


def _apply(host: Host, planned: Planned, touched: Set[str]) -> None:
    desired = planned.desired
    want = attributes.wanted(desired, host.sandbox)
    for change in planned.changes:
        if desired.state == "absent":
            host.rmdir(desired.path)
        elif change.detail is not None:
            attributes.put(host, desired.path, want, change.detail)
        else:
            _make(host, desired.path, want)
        touched.add(posixpath.dirname(desired.path))


def _make(host: Host, path: str, want: Attributes) -> None:
    mode = _DEFAULT_MODE if want.mode is None else want.mode
    uid, gid = attributes.ids(host, want)
    try:
        host.mkdir(path, mode)
    except FileNotFoundError:
        raise StepFailed(no_parent(path)) from None
    if (uid, gid) != (-1, -1):
        host.chown(path, uid, gid)
        host.chmod(path, mode)


def no_parent(path: str) -> str:
    """What to say where the directory of a path is missing."""
    return "its directory %s does not exist; declare it with ops:directory before" % posixpath.dirname(path)
