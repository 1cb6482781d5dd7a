"""apt's commands, without questions, bounded in time, with reasons that people can act on."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Sequence

from agent.host.port import Host, Ran
from agent.steps.execution import transcript
from agent.steps.step import StepFailed

LOCK_WAIT = 120
"""Seconds to wait for another apt or dpkg."""
_TIME = 1800.0
_LOOK_TIME = 120.0
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "UCF_FORCE_CONFFOLD": "1",
    "LC_ALL": "C.UTF-8",
}
_OPTIONS = (
    "-y",
    "-q",
    "-oDPkg::Lock::Timeout=%d" % LOCK_WAIT,
    "-oDpkg::Options::=--force-confdef",
    "-oDpkg::Options::=--force-confold",
    "-oDpkg::Use-Pty=0",
    "-oAcquire::Retries=2",
)
_STALE_LISTS = re.compile(
    rb"Unable to locate package|Version '[^']*' for '[^']*' was not found|404  Not Found|Failed to fetch"
)
_LISTS_LOCKED = b"/var/lib/apt/lists/lock"
_POLICY = re.compile(r"^(\S+):\n  Installed: .*\n  Candidate: (.*)$", re.MULTILINE)
_REMOVAL = re.compile(r"^(?:Remv|Purg) (\S+)", re.MULTILINE)


def candidates(host: Host, names: Sequence[str]) -> Dict[str, str]:
    """The version that apt would install, for each name that its lists offer one for."""
    ran = host.run(["apt-cache", "policy", "--", *names], env=_ENVIRONMENT, timeout=_LOOK_TIME, keep=1 << 20)
    offered = dict(_POLICY.findall(ran.stdout.decode("utf-8", "replace")))
    return {name: offered[name] for name in names if offered.get(name, "(none)") != "(none)"}


def install(host: Host, names: Sequence[str], version: Optional[str] = None) -> str:
    """Installs all that can be, in one call; the output. Raises `StepFailed`, naming what cannot be."""
    offered, freshness = candidates(host, names), ""
    if len(offered) < len(names):
        freshness = _refreshed(host)
        offered = candidates(host, names)
    wanted = [name for name in names if name in offered]
    output = _install(host, wanted, version, bool(freshness)) if wanted else ""
    unknown = ", ".join(name for name in names if name not in offered)
    if unknown:
        reason = "no package %s is offered by this node's package sources (%s)" % (unknown, freshness)
        raise StepFailed(reason, rc=100, output=output)
    return output


def remove(host: Host, names: Sequence[str]) -> str:
    """Removes packages, their configuration kept; the output."""
    return _done(_apt(host, "remove", "--", *names), "apt-get remove")


def removed_with(host: Host, names: Sequence[str]) -> List[str]:
    """What else `remove` would take away."""
    ran = host.run(["apt-get", "-s", "-q", "remove", "--", *names], env=_ENVIRONMENT, timeout=_LOOK_TIME, keep=1 << 20)
    _done(ran, "apt-get -s remove")
    gone = _REMOVAL.findall(ran.stdout.decode("utf-8", "replace"))
    return [name for name in gone if name not in names and name.partition(":")[0] not in names]


def refresh(host: Host) -> None:
    """Fetches the package lists, waiting for another apt that does; apt's own option waits for dpkg alone."""
    deadline = host.monotonic() + LOCK_WAIT
    ran = _apt(host, "update")
    while ran.rc and _LISTS_LOCKED in ran.stderr and host.monotonic() < deadline:
        host.sleep(2)
        ran = _apt(host, "update")
    _done(ran, "apt-get update")


def _refreshed(host: Host) -> str:
    """How fresh the lists are now; a source that does not answer must not keep what is known from being installed."""
    try:
        refresh(host)
    except StepFailed as error:
        return "its lists could not be refreshed: %s" % error.reason
    return "lists refreshed just now"


def _install(host: Host, names: List[str], version: Optional[str], refreshed: bool) -> str:
    arguments = ["install", "--no-install-recommends", "--no-remove"]
    if version is not None:
        arguments += ["--allow-downgrades", "--", "%s=%s" % (names[0], version)]
    else:
        arguments += ["--", *names]
    ran = _apt(host, *arguments)
    if ran.rc and not refreshed and _STALE_LISTS.search(ran.stdout + ran.stderr):
        refresh(host)
        ran = _apt(host, *arguments)
    return _done(ran, "apt-get install")


def _apt(host: Host, *arguments: str) -> Ran:
    return host.run(["apt-get", *_OPTIONS, *arguments], env=_ENVIRONMENT, timeout=_TIME)


def _done(ran: Ran, what: str) -> str:
    """The output of a command that ended well. Raises `StepFailed` with apt's own errors otherwise."""
    if ran.timed_out:
        raise StepFailed("%s was ended after its time" % what, rc=ran.rc, status="TimedOut", output=transcript(ran))
    if ran.rc:
        raise StepFailed("%s: %s" % (what, _errors(ran)), rc=ran.rc, output=transcript(ran))
    return transcript(ran)


def _errors(ran: Ran) -> str:
    text = (ran.stdout + b"\n" + ran.stderr).decode("utf-8", "replace")
    errors = [line[3:].strip() for line in text.splitlines() if line.startswith("E: ")]
    if not errors:
        errors = (text.strip().splitlines() or ["no output"])[-1:]
    return "; ".join(errors[:4])[:600] + " (exit %d)" % ran.rc
