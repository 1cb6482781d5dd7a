"""ops:authorizedKey. One key in a user's ~/.ssh/authorized_keys, with its options; other keys stay as they are.

A key is known by its own bytes: one that stands there with other options or another comment is put right, and one that
stands there twice is kept once, so that a copy without the options opens nothing. The directory and the file are made
as sshd wants them (0700, 0600, the user's own) where they are missing, and are left as they are where they are not.
"""

from __future__ import annotations

import posixpath
from typing import List, Optional

from agent.contract.claims import claims_of
from agent.contract.inputs.accounts import AuthorizedKeyInputs
from agent.contract.publickey import NotAKey, PublicKey, parse
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import part
from agent.steps.part import PartStep, Span, Wanted
from agent.steps.step import Applied, Change, Given, StepFailed
from agent.steps.user import Account, account_of

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600


@dataclass(frozen=True)
class Observed(part.Observed):
    """Besides what is in the file, whose it is; None where there is no such user yet."""

    account: Optional[Account] = None


class AuthorizedKeyStep(PartStep):
    """A key that may log in as a user, or may not."""

    def observe(self, host: Host, desired: AuthorizedKeyInputs, given: Given) -> Observed:
        del given
        account = account_of(host, desired.user)
        wanted = _wanted(desired, account)
        if account is None:
            return Observed(None, [], [], wanted.path)
        seen = part.observe(host, wanted)
        return Observed(seen.snapshot, seen.lines, seen.spans, seen.path, account)

    def changes(self, desired: AuthorizedKeyInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        (claim,) = claims_of("ops:authorizedKey", desired)
        return part.changes(_wanted(desired, observed.account), observed, claim)

    def apply(self, host: Host, desired: AuthorizedKeyInputs, changes: List[Change], given: Given) -> Applied:
        del given
        account = account_of(host, desired.user)
        if account is None:
            raise StepFailed("there is no user %s on this node; declare it with ops:user before" % desired.user)
        wanted = _wanted(desired, account)
        directory = posixpath.dirname(wanted.path)
        if desired.state == "present" and host.lstat(directory) is None:
            host.mkdir(directory, _DIRECTORY_MODE)
            host.chown(directory, account.uid, account.gid)
            host.sync_directory(account.home)
        part.apply(host, wanted, changes, account.uid, account.gid)
        return Applied()


def _wanted(desired: AuthorizedKeyInputs, account: Optional[Account]) -> Wanted:
    key = _key(desired)
    words = [desired.options, key.kind, key.blob, key.comment]
    line = " ".join(word for word in words if word)

    def find(lines: List[str]) -> List[Span]:
        return [(at, at + 1) for at, other in enumerate(lines) if _holds(other, key)]

    home = account.home if account else "~" + desired.user
    path = posixpath.join(home, ".ssh", "authorized_keys")
    return Wanted(path, [line] if desired.state == "present" else None, find, create=True, mode=_FILE_MODE)


def _key(desired: AuthorizedKeyInputs) -> PublicKey:
    if desired.options is not None and ("\n" in desired.options or "\r" in desired.options):
        raise StepFailed("`options` holds a line end")
    try:
        return parse(desired.key)
    except NotAKey as error:
        raise StepFailed("`key` is no public key: %s" % error) from None


def _holds(line: str, key: PublicKey) -> bool:
    return not line.lstrip().startswith("#") and key.blob in line.split()
