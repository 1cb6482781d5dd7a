"""What ops:package asks of a node's package system, whichever it is."""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional, Pattern, Protocol, Sequence

from agent.contract.record import NamedTuple
from agent.host.port import Host, Ran
from agent.steps.execution import transcript
from agent.steps.step import StepFailed

LOCK_WAIT = 120
"""Seconds to wait for another program that changes packages."""
TIME = 1800.0
LOOK_TIME = 120.0
LOOK_KEPT = 1 << 20
_LOCK_ASKED_EVERY = 2.0
_REASON_AT_MOST = 600


class Installed(NamedTuple):
    """One package that is there. `condition` is `installed` where all is well."""

    version: str
    condition: str = "installed"


class Stale(StepFailed):
    """What is asked for is not in the lists of packages, which may be old."""


class PackageSystem(Protocol):
    """One package system. Methods that change something raise `StepFailed`, with the system's own last words.

    `program` is a file that is there where the system is; `families` are words of os-release's ID and ID_LIKE.
    """

    @property
    def program(self) -> str: ...
    @property
    def families(self) -> FrozenSet[str]: ...

    def takes(self, name: str, version: Optional[str]) -> Optional[str]:
        """What is wrong with the name or the version as this system reads them. Pure."""

    def compare(self, one: str, other: str) -> int:
        """-1, 0 or 1, as this system orders versions. Pure."""

    def installed(self, host: Host, names: Sequence[str]) -> Dict[str, Installed]:
        """Each name that is on the node."""

    def candidates(self, host: Host, names: Sequence[str]) -> Dict[str, str]:
        """The newest version of each name that the lists on the node offer; nothing is fetched."""

    def refresh(self, host: Host) -> None:
        """Fetches the lists."""

    def add(self, host: Host, versions: Dict[str, Optional[str]]) -> str:
        """Installs or upgrades these, in these versions where one is given; the output. May raise `Stale`."""

    def remove(self, host: Host, names: Sequence[str]) -> str:
        """Removes them and what needs them; the output."""

    def removed_with(self, host: Host, names: Sequence[str]) -> List[str]:
        """What else `remove` would take away."""


def install(system: PackageSystem, host: Host, names: Sequence[str], version: Optional[str], *, newest: bool) -> str:
    """Installs all that can be, in one call; the output. Raises `StepFailed`, naming what cannot be.

    The lists are refreshed where something is not in them, never else.
    """
    offered, freshness = system.candidates(host, names), ""
    if len(offered) < len(names):
        freshness = _refreshed(system, host)
        offered = system.candidates(host, names)
    wanted = {name: offered[name] if newest else version for name in names if name in offered}
    output = _added(system, host, wanted, fresh=bool(freshness)) if wanted else ""
    unknown = ", ".join(name for name in names if name not in offered)
    if unknown:
        reason = "no package %s is offered by this node's package sources (%s)" % (unknown, freshness)
        raise StepFailed(reason, rc=100, output=output)
    return output


def malformed(name: str, version: Optional[str], names: Pattern[str], versions: Pattern[str]) -> Optional[str]:
    """What is wrong with a name or a version, for a system whose names and versions look like this."""
    if not names.match(name):
        return "%r is not the name of a package" % name
    if version is not None and not versions.match(version):
        return "%r is not a version" % version
    return None


def done(ran: Ran, what: str, errors: Sequence[str]) -> str:
    """The output of a command that ended well. Raises `StepFailed` with these errors otherwise."""
    if ran.timed_out:
        raise StepFailed("%s was ended after its time" % what, rc=ran.rc, status="TimedOut", output=transcript(ran))
    if ran.rc:
        raise StepFailed("%s: %s" % (what, said(ran, errors)), rc=ran.rc, output=transcript(ran))
    return transcript(ran)


def said(ran: Ran, errors: Sequence[str]) -> str:
    """The errors, or the last line of what was said."""
    if not errors:
        errors = (words(ran).strip().splitlines() or ["no output"])[-1:]
    return "; ".join(errors[:4])[:_REASON_AT_MOST] + " (exit %d)" % ran.rc


def words(ran: Ran) -> str:
    """Both outputs as text."""
    return (ran.stdout + b"\n" + ran.stderr).decode("utf-8", "replace")


def waited_for(who: str = "another program") -> str:
    """Why nothing is done: somebody else is at it."""
    return "%s changes packages, and did not end in %d seconds" % (who, LOCK_WAIT)


class Patience:
    """How long a lock that another program holds is still waited for."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._until = host.monotonic() + LOCK_WAIT

    def waits(self) -> bool:
        """Whether to try again; it has waited a moment then."""
        if self._host.monotonic() >= self._until:
            return False
        self._host.sleep(_LOCK_ASKED_EVERY)
        return True


def _refreshed(system: PackageSystem, host: Host) -> str:
    """How fresh the lists are now; a source that does not answer must not keep what is known from being installed."""
    try:
        system.refresh(host)
    except StepFailed as error:
        return "its lists could not be refreshed: %s" % error.reason
    return "lists refreshed just now"


def _added(system: PackageSystem, host: Host, versions: Dict[str, Optional[str]], *, fresh: bool) -> str:
    try:
        return system.add(host, versions)
    except Stale:
        if fresh:
            raise
    system.refresh(host)
    return system.add(host, versions)
