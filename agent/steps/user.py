"""ops:user. A local account, read from /etc/passwd and /etc/group; absent keeps its home directory."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Optional, Tuple

from agent.contract.claims import Claim
from agent.contract.inputs.accounts import UserInputs
from agent.contract.record import NamedTuple, dataclass
from agent.host.port import Host
from agent.steps.execution import ended_well
from agent.steps.step import Applied, Change, Given, InvalidPlatform, LeftAlone, State, StepFailed

_FILE_AT_MOST = 64 * 1024 * 1024
_TIME = 120.0
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]*\$?\Z")


class Account(NamedTuple):
    """One line of /etc/passwd, its primary group by name, and the groups that list the user."""

    uid: int
    gid: int
    group: str
    comment: str
    home: str
    shell: str
    groups: FrozenSet[str]


@dataclass(frozen=True)
class Observed:
    """The account, and which groups the node has."""

    account: Optional[Account]
    known_groups: FrozenSet[str]


class _Aspect(NamedTuple):
    """One property that differs: its words, and the option that sets it."""

    name: str
    before: str
    after: str
    options: Tuple[str, ...]


class UserStep:
    """An account and those of its properties that are declared."""

    def observe(self, host: Host, desired: UserInputs, given: Given) -> Observed:
        del given
        _check(desired)
        return _look(host, desired.name)

    def changes(self, desired: UserInputs, observed: Observed, given: Given) -> List[Change]:
        del given
        claim, account = Claim("user", desired.name), observed.account
        if desired.state == "absent":
            return [Change(claim, "user %d" % account.uid, "absent")] if account else []
        aspects = _aspects(desired, account)
        if account is None:
            return [Change(claim, "absent", ", ".join(["user", *("%s %s" % (a.name, a.after) for a in aspects)]))]
        if not aspects:
            return []
        before = ", ".join("%s %s" % (aspect.name, aspect.before or "none") for aspect in aspects)
        after = ", ".join("%s %s" % (aspect.name, aspect.after) for aspect in aspects)
        return [Change(claim, before, after, "", account)]

    def apply(self, host: Host, desired: UserInputs, changes: List[Change], given: Given) -> Applied:
        del given
        for change in changes:
            if desired.state == "absent":
                _run(host, "userdel", "--", desired.name)
            else:
                _groups_exist(desired, _look(host, desired.name))
                options = [option for aspect in _aspects(desired, change.detail) for option in aspect.options]
                if change.detail is not None:
                    _run(host, "usermod", *options, "--", desired.name)
                else:
                    made = ["--system"] if desired.system else ["--create-home"]
                    _run(host, "useradd", *made, *options, "--", desired.name)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        del claim
        if observed.account is None:
            return None
        account = observed.account._asdict()
        return dict(account, groups=sorted(observed.account.groups))

    def current(self, host: Host, claim: Claim, left: State) -> State:
        del left
        return self.state(_look(host, claim.name), claim)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        del left
        if prior is not None:
            raise LeftAlone("the user was there before; its former properties are not put back")
        _run(host, "userdel", "--", claim.name)


def account_of(host: Host, name: str) -> Optional[Account]:
    """The account of that name. May raise `InvalidPlatform`."""
    return _look(host, name).account


def _look(host: Host, name: str) -> Observed:
    try:
        passwd, group = (host.read(path, _FILE_AT_MOST) for path in ("/etc/passwd", "/etc/group"))
    except FileNotFoundError:
        raise InvalidPlatform("accounts need /etc/passwd and /etc/group, which this node does not have") from None
    names, members = _groups(group.decode("utf-8", "replace"))
    account = None
    for line in passwd.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) == 7 and fields[2].isdigit() and fields[3].isdigit():
            gid, (comment, home, shell) = int(fields[3]), fields[4:]
            groups = frozenset(members.get(name, ()))
            account = Account(int(fields[2]), gid, names.get(gid, str(gid)), comment, home, shell, groups)
            break
    return Observed(account, frozenset(names.values()))


def _groups(text: str) -> Tuple[Dict[int, str], Dict[str, List[str]]]:
    """(names by number, groups by member)."""
    names: Dict[int, str] = {}
    members: Dict[str, List[str]] = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdigit():
            names.setdefault(int(fields[2]), fields[0])
            for member in filter(None, fields[3].split(",")):
                members.setdefault(member, []).append(fields[0])
    return names, members


def _check(desired: UserInputs) -> None:
    if not _NAME.match(desired.name):
        raise StepFailed("%r is not the name of a user" % desired.name)
    for what, value in (("home", desired.home), ("shell", desired.shell), ("comment", desired.comment)):
        if value is not None and (":" in value or "\n" in value):
            raise StepFailed("%s must not hold a colon or a line end" % what)


def _aspects(desired: UserInputs, account: Optional[Account]) -> List[_Aspect]:
    """What is declared and not so. Of an account that is not there, all that is declared."""
    found = []
    for name, option, want, have in (
        ("uid", "--uid", desired.uid, account and account.uid),
        ("group", "--gid", desired.group, account and _spelt_as(desired.group, account)),
        ("home", "--home", desired.home, account and account.home),
        ("shell", "--shell", desired.shell, account and account.shell),
        ("comment", "--comment", desired.comment, account and account.comment),
    ):
        if want is not None and want != have:
            found.append(_Aspect(name, str(have), str(want), (option, str(want))))
    inside = account.groups | {account.group} if account else frozenset()
    missing = [group for group in desired.groups if group not in inside]
    if missing:
        add = ("--append", "--groups") if account else ("--groups",)
        want_groups = ",".join(missing)
        found.append(_Aspect("groups", ",".join(sorted(inside)), "+" + want_groups, (*add, want_groups)))
    return found


def _spelt_as(group: Optional[str], account: Account) -> str:
    """The primary group, as a number where it is asked for by number."""
    return str(account.gid) if group is not None and group.isdigit() else account.group


def _groups_exist(desired: UserInputs, observed: Observed) -> None:
    asked = list(desired.groups) + ([desired.group] if desired.group else [])
    for group in asked:
        if group not in observed.known_groups and not group.isdigit():
            raise StepFailed("there is no group %s on this node" % group)


def _run(host: Host, *argv: str) -> None:
    ended_well(host.run(argv, timeout=_TIME), argv[0], _TIME)
