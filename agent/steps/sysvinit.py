"""Init scripts, asked and told through `service` and `update-rc.d`: Debian's way where systemd does not run."""

from __future__ import annotations

from typing import List, Sequence

from agent.host.port import Host
from agent.steps.execution import ended_well
from agent.steps.step import InvalidPlatform, StepFailed
from agent.steps.systemd import Observed

_SCRIPTS = "/etc/init.d"
_RUNLEVELS = ("/etc/rcS.d", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d")
"""Those that a node is in while it works."""
_STATES = {0: ("active", "running"), 3: ("inactive", "dead")}
_LOOK_TIME = 30.0
_TIME = 300.0


def runs(host: Host) -> bool:
    """Whether this node has init scripts."""
    entry = host.lstat(_SCRIPTS)
    return entry is not None and entry.kind == "directory"


def look(host: Host, unit: str) -> Observed:
    """What the script of a service says, and whether it is started at boot. May raise `InvalidPlatform`."""
    name = _script(unit)
    if host.lstat("%s/%s" % (_SCRIPTS, name)) is None:
        return Observed("not-found", "inactive", "dead", "")
    rc = _run(host, _LOOK_TIME, "service", name, "status", wanted=range(256))
    active, sub = _STATES.get(rc, ("failed", "status %d" % rc))
    links = _links(host, name)
    enabled = "enabled" if any(link.startswith("S") for link in links) else "disabled" if links else ""
    return Observed("loaded", active, sub, enabled)


def do(host: Host, unit: str, verbs: Sequence[str]) -> None:
    """Does these to a service, in order. Raises `StepFailed`."""
    name = _script(unit)
    if host.lstat("%s/%s" % (_SCRIPTS, name)) is None:
        if set(verbs) <= {"stop", "disable"}:
            return
        raise StepFailed("there is no %s/%s on this node; is its package installed?" % (_SCRIPTS, name))
    for verb in verbs:
        if verb not in ("enable", "disable"):
            _run(host, _TIME, "service", name, verb)
            continue
        if verb == "enable" and not _links(host, name):
            _run(host, _TIME, "update-rc.d", name, "defaults")
        _run(host, _TIME, "update-rc.d", name, verb)


def _script(unit: str) -> str:
    name, _, suffix = unit.rpartition(".")
    if suffix != "service":
        raise InvalidPlatform("%s units need systemd, which does not run on this node" % suffix)
    return name


def _links(host: Host, name: str) -> List[str]:
    """The names under which a script is started (S) or stopped (K) in some runlevel."""
    found = []
    for directory in _RUNLEVELS:
        if host.lstat(directory) is not None:
            found += [link for link in host.listdir(directory) if link[:1] in "SK" and link[3:] == name]
    return found


def _run(host: Host, timeout: float, *argv: str, wanted: Sequence[int] = (0,)) -> int:
    try:
        ran = host.run(argv, timeout=timeout)
    except FileNotFoundError:
        raise InvalidPlatform("init scripts need %s, which this node does not have" % argv[0]) from None
    return ended_well(ran, " ".join(argv), timeout, wanted).rc
