"""ops:group. A local group, read from /etc/group; who is in it is the affair of ops:user."""

from __future__ import annotations

import re
from typing import List, Optional

from agent.contract.claims import Claim
from agent.contract.inputs.accounts import GroupInputs
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps.execution import ended_well
from agent.steps.step import Applied, Change, Given, InvalidPlatform, LeftAlone, State, StepFailed

_FILE_AT_MOST = 64 * 1024 * 1024
_TIME = 120.0
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]*\$?\Z")


@dataclass(frozen=True)
class Observed:
    """The group's number, None where there is no such group."""

    gid: Optional[int]


class GroupStep:
    """A group that is there or not, with the number that is declared."""

    def observe(self, host: Host, desired: GroupInputs, given: Given) -> Observed:
        del given
        if not _NAME.match(desired.name):
            raise StepFailed("%r is not the name of a group" % desired.name)
        return Observed(_gid(host, desired.name))

    def changes(self, desired: GroupInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        claim, gid = Claim("group", desired.name), observed.gid
        if desired.state == "absent":
            return [] if gid is None else [Change(claim, "group %d" % gid, "absent", "", ["groupdel"])]
        number = [] if desired.gid is None else ["--gid", str(desired.gid)]
        if gid is None:
            kind = ["--system"] if desired.system else []
            after = "group" if desired.gid is None else "group %d" % desired.gid
            return [Change(claim, "absent", after, "", ["groupadd", *kind, *number])]
        if desired.gid in (None, gid):
            return []
        return [Change(claim, "group %d" % gid, "group %d" % desired.gid, "", ["groupmod", *number])]

    def apply(self, host: Host, desired: GroupInputs, changes: List[Change], given: Given) -> Applied:
        del given
        for change in changes:
            _run(host, *change.detail, "--", desired.name)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        return None if observed.gid is None else {"gid": observed.gid}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        return self.state(Observed(_gid(host, claim.name)), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del left
        if prior is not None:
            raise LeftAlone("the group was there before; its former number is not put back")
        _run(host, "groupdel", "--", claim.name)


def _gid(host: Host, name: str) -> Optional[int]:
    try:
        text = host.read("/etc/group", _FILE_AT_MOST).decode("utf-8", "replace")
    except FileNotFoundError:
        raise InvalidPlatform("groups need /etc/group, which this node does not have") from None
    rows = (line.split(":") for line in text.splitlines())
    return next((int(row[2]) for row in rows if row[0] == name and len(row) == 4 and row[2].isdigit()), None)


def _run(host: Host, *argv: str) -> None:
    ended_well(host.run(argv, timeout=_TIME), argv[0], _TIME)
