"""ops:timezone. What /etc/localtime points to, and the name in /etc/timezone where a node has that file.

Programs take a new zone at their next start; the clock itself is not touched.
"""

from __future__ import annotations

from typing import List, Optional

from agent.contract.claims import Claim, unsafe_path
from agent.contract.inputs.files import FileInputs, LinkInputs
from agent.contract.inputs.machine import TimezoneInputs
from agent.contract.paths import LOCALTIME, TIMEZONE_FILE
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import file, link
from agent.steps.derived import FILE
from agent.steps.link import LinkStep
from agent.steps.step import Applied, Change, Given, State, StepFailed

_LINK = LinkStep()
_ZONES = "/usr/share/zoneinfo/"


@dataclass(frozen=True)
class Observed:
    """The link; the file, None where this node has none; whether the node knows the zone."""

    link: link.Observed
    file: Optional[file.Observed]
    known: bool


class TimezoneStep:
    """The zone that the node's local time is in."""

    def observe(self, host: Host, desired: TimezoneInputs, given: Given) -> Observed:
        path = _zone(desired)
        named = None if host.lstat(TIMEZONE_FILE) is None else FILE.observe(host, _named(desired), given)
        known = host.sandbox or host.lstat(path) is not None
        return Observed(_LINK.observe(host, _linked(desired), given), named, known)

    def changes(self, desired: TimezoneInputs, observed: Observed, given: Given) -> List[Change]:
        if not observed.known:
            raise StepFailed("this node knows no time zone %s; is tzdata installed?" % desired.name)
        seen = observed.link.entry
        right = seen is not None and _same(seen.target, _zone(desired))
        changes = [] if right else _LINK.changes(_linked(desired), observed.link, given)
        return changes + (FILE.changes(_named(desired), observed.file, given) if observed.file else [])

    def apply(self, host: Host, desired: TimezoneInputs, changes: List[Change], given: Given) -> Applied:
        _LINK.apply(host, _linked(desired), [change for change in changes if change.claim.name == LOCALTIME], given)
        return FILE.apply(
            host, _named(desired), [change for change in changes if change.claim.name != LOCALTIME], given
        )

    def state(self, observed: Observed, claim: Claim) -> State:
        if claim.name == LOCALTIME:
            return _LINK.state(observed.link, claim)
        return FILE.state(observed.file, claim) if observed.file else None

    def current(self, host: Host, claim: Claim, left: State) -> State:
        return (_LINK if claim.name == LOCALTIME else FILE).current(host, claim, left)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        (_LINK if claim.name == LOCALTIME else FILE).restore(host, claim, prior, left)


def _zone(desired: TimezoneInputs) -> str:
    path = _ZONES + desired.name
    reason = unsafe_path(path)
    if reason:
        raise StepFailed("%r is no time zone: %s" % (desired.name, reason))
    return path


def _same(target: str, zone: str) -> bool:
    """systemd writes the link relative to /etc, others absolute."""
    return target in (zone, ".." + zone)


def _linked(desired: TimezoneInputs) -> LinkInputs:
    return LinkInputs(LOCALTIME, target=_zone(desired))


def _named(desired: TimezoneInputs) -> FileInputs:
    return FileInputs(TIMEZONE_FILE, content=desired.name + "\n")
