"""What tells at once that a claim drifts: paths that inotify watches, units that systemd speaks of.

It follows from the kind of the claim, so that a step is watched without doing anything for it. What nothing tells of is
seen at the interval; claims of a kind that is not here are seen then alone.
"""

from __future__ import annotations

import posixpath
from typing import Any, Callable, Dict, List, Tuple

from agent.contract.claims import Claim, claims_of
from agent.contract.record import NamedTuple
from agent.host.port import Host
from agent.steps import manifest
from agent.steps.registry import NOT_IN_A_SANDBOX
from agent.steps.step import InvalidPlatform

TREE_AT_MOST = 2000
"""Entries of an unpacked tree that are watched one by one."""


class Watched(NamedTuple):
    """Absolute paths and unit names that tell of a claim, and whether any mounting does."""

    paths: Tuple[str, ...] = ()
    units: Tuple[str, ...] = ()
    mounts: bool = False


class Sort(NamedTuple):
    """How claims of one kind are watched: what of it is told at once, and what only the interval finds."""

    watched: Callable[[Host, Claim], Watched]
    at_once: str
    at_interval: str = ""


def watched(host: Host, action: str, inputs: Any) -> Dict[str, Watched]:
    """By claim, as text, of a step with these inputs: of the claims that something tells of."""
    found: Dict[str, Watched] = {}
    if host.sandbox and action in NOT_IN_A_SANDBOX:
        return found
    for claim in claims_of(action, inputs):
        sort = KINDS.get(claim.kind)
        if sort is not None:
            found[str(claim)] = sort.watched(host, claim)
    return found


def _path(host: Host, claim: Claim) -> Watched:
    del host
    return Watched((claim.name,))


def _user(host: Host, claim: Claim) -> Watched:
    del host, claim
    return Watched(("/etc/passwd", "/etc/group", "/etc/shadow"))


def _group(host: Host, claim: Claim) -> Watched:
    del host, claim
    return Watched(("/etc/group",))


def _authorized_keys(host: Host, claim: Claim) -> Watched:
    """The file in the user's home, and the file that says where that is."""
    from agent.steps.user import account_of

    try:
        account = account_of(host, claim.name)
    except (InvalidPlatform, OSError):
        account = None
    home = [posixpath.join(account.home, ".ssh", "authorized_keys")] if account else []
    return Watched(("/etc/passwd", *home))


def _package(host: Host, claim: Claim) -> Watched:
    from agent.steps.dpkg import STATUS

    del host, claim
    return Watched((STATUS,))


def _mount(host: Host, claim: Claim) -> Watched:
    del host, claim
    return Watched(mounts=True)


def _certificate(host: Host, claim: Claim) -> Watched:
    del host
    return Watched((claim.name,) if claim.name.startswith("/") else ())


def _tree(host: Host, claim: Claim) -> Watched:
    """Every path that was unpacked, of a tree that is not too large to watch."""
    held = manifest.read(host, claim.name)
    entries = held.entries if held is not None and len(held.entries) <= TREE_AT_MOST else ()
    return Watched((manifest.path_of(claim.name), *(posixpath.join(claim.name, path) for path in entries)))


def _unit(host: Host, claim: Claim) -> Watched:
    return Watched() if host.sandbox else Watched(units=(claim.name,))


KINDS: Dict[str, Sort] = {
    "path": Sort(_path, "the path and every directory on the way to it", "a change through another hard link"),
    "tree": Sort(_tree, "every unpacked path", "trees of more than %d entries" % TREE_AT_MOST),
    "user": Sort(_user, "`/etc/passwd`, `/etc/shadow` and `/etc/group`"),
    "group": Sort(_group, "`/etc/group`"),
    "authorizedKeys": Sort(_authorized_keys, "the user's `authorized_keys`, and `/etc/passwd`"),
    "package": Sort(_package, "dpkg's status file", "packages of rpm"),
    "mount": Sort(_mount, "the kernel's list of mounts"),
    "certificate": Sort(_certificate, "its file", "the days that it is still valid, and what a server presents"),
    "unit": Sort(_unit, "the unit, by systemd's signals on D-Bus"),
}


def told(action: str, inputs: Any) -> Tuple[List[str], List[str]]:
    """For people, of a step with these inputs: (what is seen at once, what is seen at the interval alone)."""
    at_once, later = [], []
    for claim in claims_of(action, inputs):
        sort = KINDS.get(claim.kind)
        if sort is None:
            later.append("what a `%s` claim stands for" % claim.kind)
            continue
        at_once.append(sort.at_once)
        if sort.at_interval:
            later.append(sort.at_interval)
    return list(dict.fromkeys(at_once)), list(dict.fromkeys(later))
