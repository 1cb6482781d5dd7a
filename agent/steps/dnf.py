"""dnf: Fedora, Red Hat Enterprise Linux and theirs."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Optional, Sequence

from agent.host.port import Host, Ran
from agent.steps import packages, rpm
from agent.steps.packages import Patience, Stale, done, words
from agent.steps.rpm import OverRpm
from agent.steps.step import StepFailed

_QUERY = rpm.FORMAT % ("%{name}", "%{arch}", "%{evr}")
_OPTIONS = (
    "-y",
    "-q",
    "--setopt=exit_on_lock=True",
    "--setopt=install_weak_deps=False",
    "--setopt=clean_requirements_on_remove=False",
)
_STALE_LISTS = re.compile(rb"Unable to find a match|No match for argument|Status code: 404|Cannot download")
_LOCKED = re.compile(rb"already locked by|Failed to obtain .*lock")
_ERRORS = re.compile(r"^(?:Error: *|Error in |error: )(.*(?:\n +(?:Problem|-).*)*)", re.MULTILINE)


class Dnf(OverRpm):
    """dnf 4 and 5. Weak dependencies stay out, as recommended packages do on Debian."""

    program = "/usr/bin/dnf"
    families: FrozenSet[str] = frozenset(("fedora", "rhel", "centos", "amzn"))

    def candidates(self, host: Host, names: Sequence[str]) -> Dict[str, str]:
        query = ["dnf", "-q", "-C", "repoquery", "--latest-limit=1", "--qf", _QUERY, "--", *names]
        return rpm.newest(rpm.look(host, *query), names)

    def refresh(self, host: Host) -> None:
        makecache(host)

    def add(self, host: Host, versions: Dict[str, Optional[str]]) -> str:
        ran = _dnf(host, "install", "--", *("-".join(filter(None, pair)) for pair in versions.items()))
        if ran.rc and _STALE_LISTS.search(ran.stdout + ran.stderr):
            raise Stale("dnf install: %s" % packages.said(ran, _errors(ran)), rc=ran.rc)
        return done(ran, "dnf install", _errors(ran))

    def remove(self, host: Host, names: Sequence[str]) -> str:
        ran = _dnf(host, "remove", "--", *names)
        return done(ran, "dnf remove", _errors(ran))


def makecache(host: Host, *options: str) -> None:
    """Fetches the lists."""
    ran = _dnf(host, *options, "--refresh", "makecache")
    done(ran, "dnf makecache", _errors(ran))


def _dnf(host: Host, *arguments: str) -> Ran:
    """dnf would wait for another one without end."""
    patience = Patience(host)
    while True:
        ran = host.run(["dnf", *_OPTIONS, *arguments], env=rpm.ENVIRONMENT, timeout=packages.TIME)
        if not (ran.rc and _LOCKED.search(ran.stdout + ran.stderr)):
            return ran
        if not patience.waits():
            raise StepFailed("%s: %s" % (packages.waited_for(), packages.said(ran, _errors(ran))), rc=ran.rc)


def _errors(ran: Ran) -> List[str]:
    return [" ".join(error.split()) for error in _ERRORS.findall(words(ran)) if error.strip()]
