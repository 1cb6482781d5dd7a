"""ops:package, by apt and dpkg.

What is installed is read from dpkg's own status file, which costs no process. What is installed besides the named
packages is what they depend on, not what they recommend, so that a node has what its repository says on any apt
configuration; and installing never removes (apt would, for a conflict): what has to go is declared absent. Lists are
refreshed when a package or version is not in them, never just to look: `latest` means the newest that the node's lists
know, which apt's own daily timer keeps fresh.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional

from agent.contract.claims import Claim
from agent.contract.inputs import PackageInputs
from agent.contract.versions import compare_dpkg
from agent.host.port import Host
from agent.steps import apt
from agent.steps.step import Applied, Change, Given, InvalidPlatform, LeftAlone, State, StepFailed

STATUS = "/var/lib/dpkg/status"
_STATUS_AT_MOST = 256 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9-]+)?\Z")
_VERSION = re.compile(r"[0-9A-Za-z.+~:-]+\Z")


@dataclass(frozen=True)
class Installed:
    """One package as dpkg has it. `condition` is `installed` where all is well."""

    version: str
    condition: str


@dataclass(frozen=True)
class Observed:
    """What of the named packages is installed and, for `latest`, the newest version on offer."""

    installed: Mapping[str, Installed]
    candidates: Mapping[str, str] = field(default_factory=dict)


class PackageStep:
    """Packages that are there (in a version, in the newest) or not."""

    def observe(self, host: Host, desired: PackageInputs, given: Given) -> Observed:
        del given
        _check(desired)
        seen = installed(host, desired.name)
        return Observed(seen, apt.candidates(host, desired.name) if desired.state == "latest" else {})

    def changes(self, desired: PackageInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        found = []
        for name in desired.name:
            have, after = observed.installed.get(name), _wanted(name, desired, observed)
            if after is not None:
                before = "absent" if have is None else _said(have)
                found.append(Change(Claim("package", name), before, after, "", name))
        return found

    def apply(self, host: Host, desired: PackageInputs, changes: List[Change], given: Given) -> Applied:
        del given
        names = [change.detail for change in changes]
        if not names:
            return Applied()
        if desired.state == "absent":
            return Applied(apt.remove(host, names))
        return Applied(apt.install(host, names, desired.version))

    def state(self, observed: Observed, claim: Claim) -> State:
        have = observed.installed.get(claim.name)
        return None if have is None else {"version": have.version}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        return self.state(Observed(installed(host, [claim.name])), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del left
        if prior is not None:
            raise LeftAlone("version %s was installed before; other versions are not put back" % prior["version"])
        others = apt.removed_with(host, [claim.name])
        if others:
            raise LeftAlone("to remove it would remove %s as well" % ", ".join(others[:5]))
        apt.remove(host, [claim.name])


def installed(host: Host, names: List[str]) -> Dict[str, Installed]:
    """What dpkg's status file says of each name (`NAME` or `NAME:ARCHITECTURE`) that is on the node."""
    try:
        status = b"\n" + host.read(STATUS, _STATUS_AT_MOST)
    except FileNotFoundError:
        raise InvalidPlatform("packages need dpkg, which this node does not have") from None
    found = {}
    for name in names:
        have = _in_status(status, name)
        if have is not None:
            found[name] = have
    return found


def _in_status(status: bytes, name: str) -> Optional[Installed]:
    bare, _, architecture = name.partition(":")
    line, at = b"\nPackage: %s\n" % bare.encode(), -1
    while True:
        at = status.find(line, at + 1)
        if at < 0:
            return None
        fields = _fields(status[at + 1 : _end_of(status, at + 1)])
        if architecture and fields.get("Architecture") != architecture:
            continue
        condition = fields.get("Status", "").rpartition(" ")[2]
        if condition not in ("not-installed", "config-files", ""):
            return Installed(fields.get("Version", ""), condition)


def _end_of(status: bytes, start: int) -> int:
    end = status.find(b"\n\n", start)
    return len(status) if end < 0 else end


def _fields(stanza: bytes) -> Dict[str, str]:
    fields = {}
    for line in stanza.decode("utf-8", "replace").split("\n"):
        key, colon, value = line.partition(": ")
        if colon and not key.startswith(" "):
            fields[key] = value
    return fields


def _check(desired: PackageInputs) -> None:
    for name in desired.name:
        if not _NAME.match(name):
            raise StepFailed("%r is not the name of a package" % name)
    if desired.version is not None:
        if len(desired.name) != 1:
            raise StepFailed("a version can be asked of a single package, not of %d" % len(desired.name))
        if desired.state != "present" or not _VERSION.match(desired.version):
            raise StepFailed("version %r cannot be asked for (state %s)" % (desired.version, desired.state))


def _wanted(name: str, desired: PackageInputs, observed: Observed) -> Optional[str]:
    """What the package has to become, as text; None where it is as it should be."""
    have = observed.installed.get(name)
    if desired.state == "absent":
        return "absent" if have else None
    candidate = observed.candidates.get(name)
    after = desired.version or candidate or "installed"
    if have is None or have.condition != "installed":
        return after
    if desired.version is not None and have.version != desired.version:
        return after
    if desired.state == "latest" and candidate and compare_dpkg(have.version, candidate) < 0:
        return after
    return None


def _said(have: Installed) -> str:
    return have.version if have.condition == "installed" else "%s (%s)" % (have.version, have.condition)
