"""apt and dpkg: without questions, bounded in time, with reasons that people can act on."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, Optional, Sequence

from agent.contract.versions import compare_dpkg
from agent.host.port import Host, Ran
from agent.steps import dpkg, packages
from agent.steps.holder import holder
from agent.steps.packages import Installed, Patience, Stale, done, words
from agent.steps.step import StepFailed

_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "UCF_FORCE_CONFFOLD": "1",
    "LC_ALL": "C.UTF-8",
}
_KEEP_CONFIGURATION = ("--force-confdef", "--force-confold")
_STALE_LISTS = re.compile(
    rb"Unable to locate package|Version '[^']*' for '[^']*' was not found|404  Not Found|Failed to fetch"
)
_LISTS_LOCKED = b"/var/lib/apt/lists/lock"
_INTERRUPTED = b"dpkg was interrupted"
_POLICY = re.compile(r"^(\S+):\n  Installed: .*\n  Candidate: (.*)$", re.MULTILINE)
_REMOVAL = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)
_OF_DPKG = re.compile(r"^dpkg: error processing (?:package|archive) (\S+) .*:\n (.+)$", re.MULTILINE)
_OF_APT = re.compile(r"^E: (.*)$", re.MULTILINE)
_SIGNATURE = re.compile(r"^W: ((?:GPG error|OpenPGP signature verification failed): .*)$", re.MULTILINE)
_LOCKED = re.compile(rb"Could not get lock|Unable to acquire the dpkg frontend lock|lock was locked by another process")
_LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9-]+)?\Z")
_VERSION = re.compile(r"[0-9A-Za-z.+~:-]+\Z")


class Apt:
    """Debian and its descendants. What is installed costs no process to know."""

    program = dpkg.STATUS
    families: FrozenSet[str] = frozenset(("debian",))

    def takes(self, name: str, version: Optional[str]) -> Optional[str]:
        return packages.malformed(name, version, _NAME, _VERSION)

    def compare(self, one: str, other: str) -> int:
        return compare_dpkg(one, other)

    def installed(self, host: Host, names: Sequence[str]) -> Dict[str, Installed]:
        return dpkg.installed(host, names)

    def candidates(self, host: Host, names: Sequence[str]) -> Dict[str, str]:
        ran = _look(host, "apt-cache", "policy", "--", *names)
        offered = dict(_POLICY.findall(ran.stdout.decode("utf-8", "replace")))
        return {name: offered[name] for name in names if offered.get(name, "(none)") != "(none)"}

    def refresh(self, host: Host) -> None:
        update(host)

    def add(self, host: Host, versions: Dict[str, Optional[str]]) -> str:
        """Installing never removes; apt would, for a conflict."""
        arguments = ["install", "--no-install-recommends", "--no-remove"]
        if any(versions.values()):
            arguments.append("--allow-downgrades")
        wanted = ["%s=%s" % (name, version) if version else name for name, version in versions.items()]
        ran = _transaction(host, *arguments, "--", *wanted)
        if ran.rc and _STALE_LISTS.search(ran.stdout + ran.stderr):
            raise Stale("apt-get install: %s" % packages.said(ran, _errors(ran)), rc=ran.rc)
        return done(ran, "apt-get install", _errors(ran))

    def remove(self, host: Host, names: Sequence[str]) -> str:
        """Their configuration is kept."""
        ran = _transaction(host, "remove", "--", *names)
        return done(ran, "apt-get remove", _errors(ran))

    def removed_with(self, host: Host, names: Sequence[str]) -> List[str]:
        ran = _look(host, "apt-get", "-s", "-q", "remove", "--", *names)
        done(ran, "apt-get -s remove", _errors(ran))
        gone = _REMOVAL.findall(ran.stdout.decode("utf-8", "replace"))
        return [name for name in gone if name not in names and name.partition(":")[0] not in names]


def update(host: Host, *options: str) -> None:
    """Fetches the lists, waiting for another apt that does; apt's own option waits for dpkg alone."""
    patience = Patience(host)
    ran = _apt(host, *options, "update")
    while ran.rc and _LISTS_LOCKED in ran.stderr and patience.waits():
        ran = _apt(host, *options, "update")
    if ran.rc and _LISTS_LOCKED in ran.stderr:
        raise StepFailed(_waited(host, ran), rc=ran.rc)
    done(ran, "apt-get update", _errors(ran))


def _transaction(host: Host, *arguments: str) -> Ran:
    """A change of packages, after what an interrupted one left is brought to its end."""
    ran = _apt(host, *arguments)
    if ran.rc and _LOCKED.search(ran.stdout + ran.stderr):
        raise StepFailed(_waited(host, ran), rc=ran.rc)
    if not (ran.rc and _INTERRUPTED in ran.stdout + ran.stderr):
        return ran
    argv = ["dpkg", *_KEEP_CONFIGURATION, "--configure", "-a"]
    mended = host.run(argv, env=_ENVIRONMENT, timeout=packages.TIME)
    ran = _apt(host, *arguments)
    if ran.rc and mended.rc:
        what = "dpkg was interrupted before, and `dpkg --configure -a` does not mend it"
        done(mended, what, _errors(mended))
    return ran


def _waited(host: Host, ran: Ran) -> str:
    who = holder(host, _LOCKS) or "another program"
    return "%s: apt-get: %s" % (packages.waited_for(who), packages.said(ran, _errors(ran)))


def _apt(host: Host, *arguments: str) -> Ran:
    options = [
        "-y",
        "-q",
        "-oDPkg::Lock::Timeout=%d" % packages.LOCK_WAIT,
        *("-oDpkg::Options::=" + option for option in _KEEP_CONFIGURATION),
        "-oDpkg::Use-Pty=0",
        "-oAcquire::Retries=2",
    ]
    return host.run(["apt-get", *options, *arguments], env=_ENVIRONMENT, timeout=packages.TIME)


def _look(host: Host, *argv: str) -> Ran:
    return host.run(argv, env=_ENVIRONMENT, timeout=packages.LOOK_TIME, keep=packages.LOOK_KEPT)


def _errors(ran: Ran) -> List[str]:
    """What dpkg says of packages, else what apt says."""
    text = words(ran)
    of_dpkg = ["%s: %s" % (name, what) for name, what in _OF_DPKG.findall(text)]
    of_apt = [line.strip() for line in _OF_APT.findall(text)]
    return of_dpkg or list(dict.fromkeys([*of_apt[:3], *_SIGNATURE.findall(text)[:1], *of_apt]))
