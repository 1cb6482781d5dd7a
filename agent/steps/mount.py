"""ops:mount. A file system that is mounted now, with these options, and at boot by its line in /etc/fstab.

It is mounted first and written to fstab then, for a line that cannot be mounted would stop the next boot. What is in
use is never taken away: umount says so, and the step fails. Where `noauto` or `x-systemd.automount` leaves mounting to
others, only the line is managed; so it is in a sandbox.
"""

from __future__ import annotations

import dataclasses
from typing import List, Optional

from agent.contract.claims import Claim, claims_of
from agent.contract.inputs.machine import MOUNT_SECRETS, MountInputs
from agent.contract.paths import FSTAB
from agent.contract.record import dataclass
from agent.host.port import Host, Ran
from agent.steps import part
from agent.steps.derived import directory
from agent.steps.execution import ended_well
from agent.steps.link import followed
from agent.steps.mountinfo import Mounted, at, differing, escaped, mounted, place
from agent.steps.part import PartStep, Span, Wanted
from agent.steps.step import Applied, Change, Given, LeftAlone, State, StepFailed
from agent.steps.unit import reload

_LOOK_TIME, _TIME = 30.0, 120.0
_PART = PartStep()
_BY_NAME = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel"}
_OTHERS_MOUNT = ("noauto", "x-systemd.automount")


@dataclass(frozen=True)
class Observed:
    """The line; whether the mount is looked at; what is mounted, and whether it is what is wanted there."""

    line: part.Observed
    live: bool
    mount: Optional[Mounted] = None
    same: bool = False


class MountStep:
    """A mount that is there now and at boot, or is not."""

    def observe(self, host: Host, desired: MountInputs, given: Given) -> Observed:
        del given
        line = part.observe(host, _wanted(desired))
        if host.sandbox or (desired.state == "present" and any(word in desired.options for word in _OTHERS_MOUNT)):
            return Observed(line, live=False)
        mounts = mounted(host)
        mount = at(mounts, desired.path)
        return Observed(line, True, mount, mount is not None and _same(host, desired, mount, mounts))

    def changes(self, desired: MountInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        in_fstab, claim = claims_of("ops:mount", desired)
        wanted = _wanted(desired)
        if wanted.lines and observed.line.part and observed.line.part[0].split() == wanted.lines[0].split():
            wanted = dataclasses.replace(wanted, lines=observed.line.part)  # how it is spaced is its owner's affair
        live = _live_change(desired, observed, claim) if observed.live else None
        return part.changes(wanted, observed.line, in_fstab) + ([live] if live else [])

    def apply(self, host: Host, desired: MountInputs, changes: List[Change], given: Given) -> Applied:
        del given
        for change in changes:
            if change.claim.kind == "mount":
                for argv in change.detail:
                    if argv[0] == "mount":
                        directory(host, desired.path)
                    _run(host, argv)
        in_fstab = [change for change in changes if change.claim.kind == "path"]
        part.apply(host, _wanted(desired), in_fstab)
        if in_fstab:
            reload(host)  # systemd keeps a unit for each line
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        return _PART.state(observed.line, claim) if claim.kind == "path" else _state(observed.mount)

    def current(self, host: Host, claim: Claim, left: State) -> State:
        if claim.kind == "path":
            return _PART.current(host, claim, left)
        return None if host.sandbox else _state(at(mounted(host), claim.name))

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        if claim.kind == "path":
            _PART.restore(host, claim, prior, left)
            reload(host)
        elif prior is not None:
            raise LeftAlone("it was mounted before, as %(source)s %(type)s; that is not put back" % prior)
        else:
            _run(host, ["umount", "--", claim.name])


def _state(mount: Optional[Mounted]) -> State:
    return mount and {"source": mount.source, "type": mount.type, "root": mount.root, "options": list(mount.options)}


def _live_change(desired: MountInputs, observed: Observed, claim: Claim) -> Optional[Change]:
    """What is to be done about the mount itself; its detail are the commands that do it."""
    mount, away = observed.mount, ["umount", "--", desired.path]
    if desired.state == "absent":
        return Change(claim, str(mount), "not mounted", "", [away]) if mount else None
    options = ",".join(desired.options) or "defaults"
    after = "%s %s %s" % (desired.device, desired.type, options)
    there = ["mount", "-t", desired.type, "-o", options, "--", desired.device, desired.path]
    if mount is None:
        return Change(claim, "not mounted", after, "", [there])
    if not observed.same:
        return Change(claim, str(mount), after, "", [away, there])
    missing = differing(desired.options, mount)
    if not missing:
        return None
    again = ["remount", *(["bind"] if "bind" in desired.options else []), *desired.options]
    again += [word for word in missing if word not in again]
    remount = ["mount", "-o", ",".join(dict.fromkeys(again)), "--", desired.device, desired.path]
    return Change(claim, str(mount), "%s (differs: %s)" % (after, ",".join(missing)), "", [remount])


def _wanted(desired: MountInputs) -> Wanted:
    path = escaped(desired.path)
    options = ",".join(escaped(option) for option in desired.options) or "defaults"
    if any(option.partition("=")[0] in MOUNT_SECRETS for option in desired.options):
        raise StepFailed("the options hold a password, and everybody may read /etc/fstab; use `credentials=FILE`")
    if desired.state == "present" and not desired.device:
        raise StepFailed("`device` is empty; it says what is mounted")
    line = " ".join([escaped(desired.device), path, desired.type, options, "0", str(desired.passno)])

    def find(lines: List[str]) -> List[Span]:
        words = [line.partition("#")[0].split() for line in lines]
        return [(at, at + 1) for at, fields in enumerate(words) if len(fields) > 1 and fields[1] == path]

    return Wanted(FSTAB, [line] if desired.state == "present" else None, find, create=True)


def _same(host: Host, desired: MountInputs, mount: Mounted, mounts: List[Mounted]) -> bool:
    """Whether it is the wanted file system, as far as the kernel tells."""
    if "bind" in desired.options or "rbind" in desired.options:
        return place([other for other in mounts if other is not mount], desired.device) == (mount.device, mount.root)
    kinds = (mount.type, mount.type.rstrip("4") if mount.type.startswith("nfs") else mount.type, "auto", "none")
    if desired.type not in kinds and not mount.type.startswith("fuse"):
        return False
    device = _device(host, desired.device)
    if device is not None:
        return device == _device(host, mount.source)
    return ":" not in desired.device or desired.device.rstrip("/") == mount.source.rstrip("/")


def _device(host: Host, source: str) -> Optional[str]:
    """The device's own path, links followed; None for what is no device: tmpfs, a share, an image file."""
    name, equals, value = source.partition("=")
    if equals and name in _BY_NAME:
        path = "/dev/disk/%s/%s" % (_BY_NAME[name], value.strip('"'))
        return followed(host, path if host.lstat(path) else _found(host, source))
    return followed(host, source) if source.startswith("/dev/") else None


def _found(host: Host, source: str) -> str:
    """Where a device is that udev made no link for. Raises `StepFailed`, so that nothing mounted is given up for it."""
    try:
        ran = host.run(["findfs", source], timeout=_LOOK_TIME)
    except FileNotFoundError:
        ran = Ran(1)
    if ran.rc:
        raise StepFailed("this node has no device %s; what is mounted there stays" % source)
    return ran.stdout.decode("utf-8", "replace").strip()


def _run(host: Host, argv: List[str]) -> None:
    ended_well(host.run(argv, timeout=_TIME), argv[0], _TIME)
