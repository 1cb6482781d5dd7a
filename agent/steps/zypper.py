"""zypper: SUSE Linux Enterprise and openSUSE."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Optional, Sequence

from agent.host.port import Host, Ran
from agent.steps import packages, rpm
from agent.steps.packages import Stale, done, words
from agent.steps.rpm import OverRpm
from agent.steps.step import StepFailed

_OK = (0, 100, 101, 102, 103, 106, 107)
"""Done; 100 and on say what is worth knowing besides: patches, a reboot, a source passed over, a script that failed."""
_NOT_FOUND, _LOCKED = 104, 7
_SYSTEM = "(System Packages)"
_SOLVABLE = re.compile(r'<solvable (status="[^>]*repository="[^>]*)/>')
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_ERRORS = re.compile(
    r"^(?:No provider|Problem: |[Ee]rror: |ABORT| - |File .* not found|System management).*$", re.MULTILINE
)


class Zypper(OverRpm):
    """zypper over rpm. Recommended packages stay out."""

    program = "/usr/bin/zypper"
    families: FrozenSet[str] = frozenset(("suse", "opensuse", "sles"))

    def candidates(self, host: Host, names: Sequence[str]) -> Dict[str, str]:
        search = ["search", "-s", "--match-exact", "-t", "package", "--", *names]
        ran = rpm.look(host, "zypper", "-n", "--no-refresh", "-x", *search)
        offered = [dict(_ATTRIBUTE.findall(one)) for one in _SOLVABLE.findall(ran.stdout.decode("utf-8", "replace"))]
        rows = [(one["name"], one["arch"], one["edition"]) for one in offered if one["repository"] != _SYSTEM]
        return rpm.newest_of(rows, names)

    def refresh(self, host: Host) -> None:
        refresh(host)

    def add(self, host: Host, versions: Dict[str, Optional[str]]) -> str:
        arguments = ["install", "--no-recommends", "--auto-agree-with-licenses"]
        if any(versions.values()):
            arguments.append("--oldpackage")
        wanted = ["%s=%s" % (name, version) if version else name for name, version in versions.items()]
        ran = _zypper(host, *arguments, "--", *wanted)
        if ran.rc == _NOT_FOUND:
            raise Stale("zypper install: %s" % packages.said(ran, _errors(ran)), rc=ran.rc)
        return done(ran, "zypper install", _errors(ran))

    def remove(self, host: Host, names: Sequence[str]) -> str:
        ran = _zypper(host, "remove", "--no-clean-deps", "--", *names)
        return done(ran, "zypper remove", _errors(ran))


def refresh(host: Host, *names: str) -> None:
    """Fetches the lists, of these sources or of all."""
    ran = _zypper(host, "refresh", "--", *names)
    done(ran, "zypper refresh", _errors(ran))


def _zypper(host: Host, *arguments: str) -> Ran:
    environment = dict(rpm.ENVIRONMENT, ZYPP_LOCK_TIMEOUT=str(packages.LOCK_WAIT))
    ran = host.run(["zypper", "-n", *arguments], env=environment, timeout=packages.TIME)
    if ran.rc == _LOCKED:
        raise StepFailed("%s: %s" % (packages.waited_for(), packages.said(ran, _errors(ran))), rc=ran.rc)
    return ran._replace(rc=0) if ran.rc in _OK else ran


def _errors(ran: Ran) -> List[str]:
    return [line.strip() for line in _ERRORS.findall(words(ran))]
