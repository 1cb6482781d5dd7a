"""Mode, owner and group: what files and directories have in common.

What is not wanted is not managed. In a sandbox owners are not managed at all, for it has no accounts.
"""

from __future__ import annotations

import re
from typing import List, Optional, Tuple, Union

from agent.contract.inputs.files import DirectoryInputs, DownloadInputs, FileInputs
from agent.contract.record import NamedTuple
from agent.host.port import Entry, Host
from agent.steps.step import StepFailed

_OCTAL = re.compile(r"(0o?)?([0-7]{1,4})\Z")


Managed = Union[FileInputs, DirectoryInputs, DownloadInputs]


class Attributes(NamedTuple):
    """None is not managed (wanted), or not looked at (seen)."""

    mode: Optional[int] = None
    owner: Optional[str] = None
    group: Optional[str] = None


class Difference(NamedTuple):
    """One attribute as text, as it is and as it should be."""

    before: str
    after: str


def wanted(desired: Managed, sandbox: bool = False) -> Attributes:
    """Raises `StepFailed` for a mode that is not octal."""
    mode = None
    if desired.mode is not None:
        found = _OCTAL.match(desired.mode)
        if not found:
            raise StepFailed("mode %r is not octal (write 0644)" % desired.mode)
        mode = int(found.group(2), 8)
    return Attributes(mode) if sandbox else Attributes(mode, desired.owner, desired.group)


def seen(host: Host, entry: Entry, desired: Managed) -> Attributes:
    """The entry's attributes, with owner and group spelt as in `desired` where they are meant by it."""
    owner = group = None
    if desired.owner is not None:
        owner = desired.owner if host.user_id(desired.owner) == entry.uid else host.user_name(entry.uid)
    if desired.group is not None:
        group = desired.group if host.group_id(desired.group) == entry.gid else host.group_name(entry.gid)
    return Attributes(entry.mode, owner, group)


def differences(want: Attributes, have: Attributes) -> List[Difference]:
    found = []
    if want.mode is not None and have.mode is not None and want.mode != have.mode:
        found.append(Difference("mode %04o" % have.mode, "mode %04o" % want.mode))
    for what, old, new in (("owner", have.owner, want.owner), ("group", have.group, want.group)):
        if old is not None and new is not None and old != new:
            found.append(Difference("%s %s" % (what, old), "%s %s" % (what, new)))
    return found


def described(want: Attributes) -> List[str]:
    """What is wanted of something that is not there yet."""
    parts = [] if want.mode is None else ["mode %04o" % want.mode]
    parts += [] if want.owner is None else ["owner %s" % want.owner]
    return parts + ([] if want.group is None else ["group %s" % want.group])


def ids(host: Host, want: Attributes) -> Tuple[int, int]:
    """Numbers of the wanted owner and group, -1 for what is not managed."""
    uid = gid = -1
    if want.owner is not None:
        found = host.user_id(want.owner)
        if found is None:
            raise StepFailed("there is no user %s on this node; declare it with ops:user before" % want.owner)
        uid = found
    if want.group is not None:
        found = host.group_id(want.group)
        if found is None:
            raise StepFailed("there is no group %s on this node" % want.group)
        gid = found
    return uid, gid


def of_new(host: Host, want: Attributes, entry: Optional[Entry], default_mode: int) -> Tuple[int, int, int]:
    """(mode, uid, gid) of bytes that take the place of `entry`, or of nothing."""
    uid, gid = ids(host, want)
    mode = default_mode if want.mode is None else want.mode
    if entry is not None:
        mode = entry.mode if want.mode is None else want.mode
        if not host.sandbox:
            uid, gid = (entry.uid if uid == -1 else uid), (entry.gid if gid == -1 else gid)
    return mode, uid, gid


def put(host: Host, path: str, want: Attributes, entry: Entry) -> None:
    """Gives an entry that stays in place its wanted attributes; owners first, for that takes setuid away."""
    uid, gid = ids(host, want)
    if (uid not in (-1, entry.uid)) or (gid not in (-1, entry.gid)):
        host.chown(path, uid, gid)
        host.chmod(path, entry.mode if want.mode is None else want.mode)
    elif want.mode is not None:
        host.chmod(path, want.mode)
