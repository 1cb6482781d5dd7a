"""ops:service, by systemd.

A unit that systemd has not got may still come with a package of the same document, so only `apply` minds its absence.
systemd is told to read its unit files again where it says that they changed, when something is to be done anyway.
A unit that runs, and may, is restarted or reloaded once for all steps named by `restartOn` and `reloadOn` that changed;
a start does as well, and one that is stopped is left so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

from agent.contract.claims import Claim, unit_name
from agent.contract.inputs import ServiceInputs
from agent.host.port import Host, Ran
from agent.steps.execution import ending
from agent.steps.step import Applied, Change, Given, InvalidPlatform, State, StepFailed

RUNNING = "/run/systemd/system"
"""What is there where systemd runs."""
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "Type")
_LOOK_TIME = 30.0
_TIME = 300.0
_ON = ("enabled", "enabled-runtime", "alias")
_NEITHER = ("static", "indirect", "transient")
"""Unit file states that cannot be switched: there is nothing to enable."""


@dataclass(frozen=True)
class Observed:
    """What systemd says of the unit."""

    loaded: str
    active: str
    sub: str
    enabled: str
    stale: bool = False
    kind: str = ""

    @property
    def started(self) -> bool:
        """Whether it runs, or is on its way up (but not waiting to be tried again)."""
        return self.active in ("active", "reloading", "refreshing") or (
            self.active == "activating" and self.sub != "auto-restart"
        )


class ServiceStep:
    """A unit that runs or not, and starts at boot or not."""

    def observe(self, host: Host, desired: ServiceInputs, given: Given) -> Observed:
        del given
        return _look(host, unit_name(desired.name))

    def changes(self, desired: ServiceInputs, observed: Observed, given: Given) -> List[Change]:
        before, after, verbs = [], [], []
        if desired.enabled is not None and not _as_wanted(desired.enabled, observed):
            before.append(observed.enabled or "absent")
            after.append("enabled" if desired.enabled else "disabled")
            verbs.append("enable" if desired.enabled else "disable")
        if desired.state is not None and observed.started != (desired.state == "started"):
            before.append(_activity(observed))
            after.append(desired.state)
            verbs.append("start" if desired.state == "started" else "stop")
        elif observed.started:
            for verb, names in _owed(desired, given):
                before.append("started")
                after.append("%sed, for %s changed" % (verb, ", ".join(names)))
                verbs.append(verb)
        if not verbs:
            return []
        claim = Claim("unit", unit_name(desired.name))
        return [Change(claim, ", ".join(before), ", ".join(after), "", tuple(verbs))]

    def apply(self, host: Host, desired: ServiceInputs, changes: List[Change], given: Given) -> Applied:
        del given
        unit = unit_name(desired.name)
        for change in changes:
            _do(host, unit, change.detail)
            if {"start", "restart", "reload"} & set(change.detail):
                _still_started(_look(host, unit), unit)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        return {"started": observed.started, "enabled": observed.enabled}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        return self.state(_look(host, claim.name), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        assert prior is not None
        assert left is not None
        verbs = []
        if prior["enabled"] != left["enabled"]:
            verbs.append("enable" if prior["enabled"] in _ON else "disable")
        if prior["started"] != left["started"]:
            verbs.append("start" if prior["started"] else "stop")
        _do(host, claim.name, verbs)


def _owed(desired: ServiceInputs, given: Given) -> Iterator[Tuple[str, List[str]]]:
    """The one thing to do for the steps that changed, with their names: a restart does for a reload."""
    restart = [name for name in desired.restart_on if name in given.changed]
    reload = [name for name in desired.reload_on if name in given.changed]
    if restart:
        yield "restart", restart
    elif reload:
        yield "reload", reload


def _look(host: Host, unit: str) -> Observed:
    if host.lstat(RUNNING) is None:
        raise InvalidPlatform("services need systemd, which does not run on this node")
    ran = host.run(["systemctl", "show", "--property=" + ",".join(_PROPERTIES), "--", unit], timeout=_LOOK_TIME)
    if ran.rc:
        raise StepFailed("systemctl show %s: %s" % (unit, ending(ran)), rc=ran.rc)
    said = parsed(ran)
    enabled = said.get("UnitFileState", "")
    if enabled == "generated":  # from an init script, of which systemd itself does not know
        enabled = host.run(["systemctl", "is-enabled", "--", unit], timeout=_LOOK_TIME).stdout.decode().strip()
    return Observed(
        said.get("LoadState", ""),
        said.get("ActiveState", ""),
        said.get("SubState", ""),
        enabled,
        said.get("NeedDaemonReload") == "yes",
        said.get("Type", ""),
    )


def parsed(ran: Ran) -> Dict[str, str]:
    """`systemctl show`'s lines of `Name=value`."""
    lines = ran.stdout.decode("utf-8", "replace").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _as_wanted(enabled: bool, observed: Observed) -> bool:
    if observed.enabled in _NEITHER:
        if enabled:
            raise StepFailed("it is %s: it has nothing that enables it; leave `enabled` out" % observed.enabled)
        return True
    return (observed.enabled in _ON) == enabled


def _activity(observed: Observed) -> str:
    if observed.loaded == "not-found":
        return "absent"
    if observed.started:
        return "started"
    return "stopped" if observed.active == "inactive" else "%s (%s)" % (observed.active, observed.sub)


def _do(host: Host, unit: str, verbs: List[str]) -> None:
    observed = _look(host, unit)
    if observed.stale or observed.loaded == "not-found":
        systemctl(host, "daemon-reload")
        observed = _look(host, unit)
    if observed.loaded == "not-found":
        if set(verbs) <= {"stop", "disable"}:
            return
        raise StepFailed("there is no unit %s on this node; is its package installed?" % unit)
    for verb in verbs:
        systemctl(host, verb, unit)


def stale(host: Host, unit: str) -> bool:
    """Whether systemd goes by an older file of the unit than the one that is there."""
    return _look(host, unit).stale


def systemctl(host: Host, verb: str, unit: Optional[str] = None) -> None:
    """Tells systemd to do something. Raises `StepFailed`."""
    argv = ["systemctl", "--no-ask-password", verb] + (["--", unit] if unit else [])
    ran = host.run(argv, timeout=_TIME)
    if ran.timed_out:
        raise StepFailed("systemctl %s did not end in %d seconds" % (verb, _TIME), rc=ran.rc, status="TimedOut")
    if ran.rc:
        said = " ".join(ran.stderr.decode("utf-8", "replace").split())
        hint = "; `restartOn` does for a unit that cannot reload" if verb == "reload" else ""
        raise StepFailed("systemctl %s: %s (exit %d)%s" % (verb, said[:500], ran.rc, hint), rc=ran.rc)


def _still_started(observed: Observed, unit: str) -> None:
    if not observed.started:
        hint = "; a oneshot unit ends by itself: leave `state` out" if observed.kind == "oneshot" else ""
        raise StepFailed("%s was started and is %s%s" % (unit, _activity(observed), hint))
