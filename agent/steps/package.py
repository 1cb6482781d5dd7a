"""ops:package, by the package system that the node has: apt, dnf or zypper.

What is installed besides the named packages is what they depend on, not what they recommend, so that a node has what
its repository says on any configuration. Lists are refreshed when a package or version is not in them, never just to
look: `latest` means the newest that the node's lists know, which the system's own daily timer keeps fresh.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import List, Mapping, Optional, Sequence, Set

from agent.contract.claims import Claim
from agent.contract.inputs.packages import PackageInputs
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import packages
from agent.steps.apt import Apt
from agent.steps.dnf import Dnf
from agent.steps.packages import Installed, PackageSystem
from agent.steps.step import Applied, Change, Given, InvalidPlatform, LeftAlone, State, StepFailed
from agent.steps.zypper import Zypper

SYSTEMS: Sequence[PackageSystem] = (Apt(), Dnf(), Zypper())
_OS_RELEASE = "/etc/os-release"
_FAMILY = re.compile(r"^ID(?:_LIKE)?=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Observed:
    """What of the named packages is installed and, for `latest`, the newest version on offer."""

    system: PackageSystem
    installed: Mapping[str, Installed]
    candidates: Mapping[str, str] = field(default_factory=dict)


class PackageStep:
    """Packages that are there (in a version, in the newest) or not."""

    def observe(self, host: Host, desired: PackageInputs, given: Given) -> Observed:
        del given
        system = system_of(host)
        _check(desired, system)
        seen = system.installed(host, desired.name)
        return Observed(system, seen, system.candidates(host, desired.name) if desired.state == "latest" else {})

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
            return Applied(system_of(host).remove(host, names))
        newest = desired.state == "latest"
        return Applied(packages.install(system_of(host), host, names, desired.version, newest=newest))

    def state(self, observed: Observed, claim: Claim) -> State:
        have = observed.installed.get(claim.name)
        return None if have is None else {"version": have.version}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        system = system_of(host)
        return self.state(Observed(system, system.installed(host, [claim.name])), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del left
        if prior is not None:
            raise LeftAlone("version %s was installed before; other versions are not put back" % prior["version"])
        system = system_of(host)
        others = system.removed_with(host, [claim.name])
        if others:
            raise LeftAlone("to remove it would remove %s as well" % ", ".join(others[:5]))
        system.remove(host, [claim.name])


def system_of(host: Host) -> PackageSystem:
    """The node's own package system; of several that are there, the one of its distribution."""
    found = [system for system in SYSTEMS if host.lstat(system.program) is not None]
    if not found:
        raise InvalidPlatform("packages need apt, dnf or zypper, and this node has none of them")
    if len(found) == 1:
        return found[0]
    family = _family(host)
    return next((system for system in found if system.families & family), found[0])


def _family(host: Host) -> Set[str]:
    """The words of os-release(5) that say which distribution this is, and which it is like."""
    try:
        text = host.read(_OS_RELEASE).decode("utf-8", "replace")
    except OSError:
        return set()
    return {word for words in _FAMILY.findall(text) for word in words.strip("\"'").split()}


def _check(desired: PackageInputs, system: PackageSystem) -> None:
    if desired.version is not None and len(desired.name) != 1:
        raise StepFailed("a version can be asked of a single package, not of %d" % len(desired.name))
    if desired.version is not None and desired.state != "present":
        raise StepFailed("version %r cannot be asked for (state %s)" % (desired.version, desired.state))
    for name in desired.name:
        wrong = system.takes(name, desired.version)
        if wrong:
            raise StepFailed(wrong)


def _wanted(name: str, desired: PackageInputs, observed: Observed) -> Optional[str]:
    """What the package has to become, as text; None where it is as it should be."""
    have = observed.installed.get(name)
    if desired.state == "absent":
        return "absent" if have else None
    candidate = observed.candidates.get(name)
    after = desired.version or candidate or "installed"
    if have is None or have.condition != "installed":
        return after
    if desired.version is not None and observed.system.compare(have.version, desired.version):
        return after
    if desired.state == "latest" and candidate and observed.system.compare(have.version, candidate) < 0:
        return after
    return None


def _said(have: Installed) -> str:
    return have.version if have.condition == "installed" else "%s (%s)" % (have.version, have.condition)
