"""ops:service, by systemd, or by init scripts where systemd does not run.

A unit that systemd has not got may still come with a package of the same document, so only `apply` minds its absence.
systemd is told to read its unit files again where it says that they changed, when something is to be done anyway.
A unit that runs, and may, is restarted or reloaded once for all steps named by `restartOn` and `reloadOn` that changed;
a start does as well, and one that is stopped is left so.
"""

from __future__ import annotations

from typing import Iterator, List, Sequence, Tuple

from agent.contract.claims import Claim, unit_name
from agent.contract.inputs.services import ServiceInputs
from agent.host.port import Host
from agent.steps import systemd, sysvinit
from agent.steps.step import Applied, Change, Given, InvalidPlatform, State, StepFailed
from agent.steps.systemd import Observed

_ON = ("enabled", "enabled-runtime", "alias")
_NEITHER = ("static", "indirect", "transient")
"""Unit file states that cannot be switched: there is nothing to enable."""


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
    if systemd.runs(host):
        return systemd.look(host, unit)
    if sysvinit.runs(host):
        return sysvinit.look(host, unit)
    raise InvalidPlatform("services need systemd or init scripts, and this node has neither")


def _do(host: Host, unit: str, verbs: Sequence[str]) -> None:
    do = systemd.do if systemd.runs(host) else sysvinit.do
    do(host, unit, verbs)


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


def _still_started(observed: Observed, unit: str) -> None:
    if not observed.started:
        hint = "; a oneshot unit ends by itself: leave `state` out" if observed.kind == "oneshot" else ""
        raise StepFailed("%s was started and is %s%s" % (unit, _activity(observed), hint))
