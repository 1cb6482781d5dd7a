"""What rpm knows, for the package systems that stand on it."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence, Tuple

from agent.contract.versions import compare_rpm
from agent.host.port import Host, Ran
from agent.steps import packages
from agent.steps.packages import Installed
from agent.steps.step import StepFailed

ENVIRONMENT = {"LC_ALL": "C.UTF-8"}
FORMAT = "%s\\t%s\\t%s\\n"
"""A query format of name, architecture and version, as `rows` reads it."""
_QUERY = FORMAT % ("%{NAME}", "%{ARCH}", "%{EVR}")
_NEEDED = re.compile(r"is needed by \(installed\) (\S+)")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]*\Z")
_VERSION = re.compile(r"[0-9A-Za-z._+~^:-]+\Z")


class OverRpm:
    """What every package system that stands on rpm does alike (see `PackageSystem`)."""

    def takes(self, name: str, version: Optional[str]) -> Optional[str]:
        return packages.malformed(name, version, _NAME, _VERSION)

    def compare(self, one: str, other: str) -> int:
        return compare_rpm(one, other)

    def installed(self, host: Host, names: Sequence[str]) -> Dict[str, Installed]:
        """Each name (`NAME` or `NAME.ARCHITECTURE`) that is on the node; of several versions the newest."""
        try:
            ran = look(host, "rpm", "-q", "--qf", _QUERY, "--", *names)
        except FileNotFoundError:
            raise StepFailed("this node has no rpm, which tells what is installed") from None
        if ran.timed_out or (ran.rc and not ran.stdout):
            raise StepFailed("rpm -q: %s" % packages.said(ran, []), rc=ran.rc)
        return {name: Installed(version) for name, version in newest(ran, names).items()}

    def removed_with(self, host: Host, names: Sequence[str]) -> List[str]:
        """What could not stay without these; nothing is removed."""
        ran = look(host, "rpm", "-e", "--test", "--", *names)
        needed = _NEEDED.findall(packages.words(ran))
        if ran.rc and not needed:
            raise StepFailed("rpm -e --test: %s" % packages.said(ran, []), rc=ran.rc)
        return list(dict.fromkeys(needed))


def newest(ran: Ran, names: Sequence[str]) -> Dict[str, str]:
    """The newest version of each name among the rows that were printed in `FORMAT`."""
    return newest_of(_rows(ran.stdout.decode("utf-8", "replace")), names)


def newest_of(rows: Sequence[Tuple[str, str, str]], names: Sequence[str]) -> Dict[str, str]:
    """The same for rows of name, architecture and version."""
    found: Dict[str, str] = {}
    for bare, architecture, version in rows:
        for name in (bare, "%s.%s" % (bare, architecture)):
            if name in names and (name not in found or compare_rpm(found[name], version) < 0):
                found[name] = version
    return found


def look(host: Host, *argv: str) -> Ran:
    """A command that changes nothing."""
    return host.run(argv, env=ENVIRONMENT, timeout=packages.LOOK_TIME, keep=packages.LOOK_KEPT)


def _rows(text: str) -> List[Tuple[str, str, str]]:
    rows = [line.split("\t") for line in text.splitlines()]
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]
