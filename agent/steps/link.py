"""ops:link. Only ever replaces or removes a symbolic link, never a file or a directory."""

from __future__ import annotations

import posixpath
from typing import Callable, List, Optional, Sequence, Set

from agent.contract.claims import Claim
from agent.contract.inputs.files import LinkInputs
from agent.contract.record import dataclass
from agent.host.port import Entry, Host
from agent.steps.batch import DoneInBatches, in_turn
from agent.steps.directory import no_parent
from agent.steps.step import Change, Given, LeftAlone, Planned, State, StepFailed

_FOLLOWED_AT_MOST = 8


@dataclass(frozen=True)
class Observed:
    """What is at the path."""

    entry: Optional[Entry]


class LinkStep(DoneInBatches):
    """A symbolic link and what it says."""

    def observe(self, host: Host, desired: LinkInputs, given: Given) -> Observed:
        del given
        return Observed(host.lstat(desired.path))

    def changes(self, desired: LinkInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        entry = observed.entry
        if entry is not None and entry.kind != "link":
            raise StepFailed("%s is %s where a symbolic link is declared; move it away" % (desired.path, entry))
        if desired.state != "absent" and not desired.target:
            raise StepFailed("a link needs a target")
        before = None if entry is None else entry.target
        after = None if desired.state == "absent" else desired.target
        if before == after:
            return []
        return [Change(Claim("path", desired.path), _said(before), _said(after))]

    def apply_all(self, host: Host, batch: Sequence[Planned], begin: Callable[[], None]) -> List[Optional[StepFailed]]:
        """Each in turn; each directory is synced once."""
        return in_turn(host, batch, begin, lambda planned, touched: _apply(host, planned, touched))

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        return observed.entry and {"target": observed.entry.target}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        entry = host.lstat(claim.name)
        if entry is not None and entry.kind != "link":
            raise LeftAlone("it is %s now" % (entry,))
        return self.state(Observed(entry), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del left
        if prior is None:
            host.unlink(claim.name)
        else:
            host.symlink(prior["target"], claim.name)
        host.sync_directory(posixpath.dirname(claim.name))


def followed(host: Host, path: str) -> str:
    """Where links at the last part of the path lead, as far as they do; whoever made them."""
    for _ in range(_FOLLOWED_AT_MOST):
        entry = host.lstat(path)
        if entry is None or entry.kind != "link":
            break
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.target))
    return path


def _apply(host: Host, planned: Planned, touched: Set[str]) -> None:
    desired = planned.desired
    for _ in planned.changes:
        if desired.state == "absent":
            host.unlink(desired.path)
        else:
            assert desired.target
            try:
                host.symlink(desired.target, desired.path)
            except FileNotFoundError:
                raise StepFailed(no_parent(desired.path)) from None
        touched.add(posixpath.dirname(desired.path))


def _said(target: Optional[str]) -> str:
    return "absent" if target is None else "-> " + target
