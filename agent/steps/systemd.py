"""systemd, asked and told through `systemctl`."""

from __future__ import annotations

from typing import Dict, Optional, Sequence

from agent.contract.record import dataclass
from agent.host.port import Host, Ran
from agent.steps.execution import ended_well
from agent.steps.step import InvalidPlatform, StepFailed

_RUNNING = "/run/systemd/system"
"""What is there where systemd runs."""
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "Type")
_LOOK_TIME = 30.0
_TIME = 300.0


@dataclass(frozen=True)
class Observed:
    """What the init system says of the unit, in systemd's words."""

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


def runs(host: Host) -> bool:
    """Whether systemd is what runs this node."""
    return not host.sandbox and host.lstat(_RUNNING) is not None


def look(host: Host, unit: str) -> Observed:
    """What systemd says. Raises `StepFailed`."""
    ran = host.run(["systemctl", "show", "--property=" + ",".join(_PROPERTIES), "--", unit], timeout=_LOOK_TIME)
    ended_well(ran, "systemctl show %s" % unit, _LOOK_TIME)
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


def do(host: Host, unit: str, verbs: Sequence[str]) -> None:
    """Does these to a unit, in order, once systemd has read its files. Raises `StepFailed`."""
    observed = look(host, unit)
    if observed.stale or observed.loaded == "not-found":
        systemctl(host, "daemon-reload")
        observed = look(host, unit)
    if observed.loaded == "not-found":
        if set(verbs) <= {"stop", "disable"}:
            return
        raise StepFailed("there is no unit %s on this node; is its package installed?" % unit)
    for verb in verbs:
        systemctl(host, verb, unit)


def stale(host: Host, unit: str) -> bool:
    """Whether systemd goes by an older file of the unit than the one that is there. May raise `InvalidPlatform`."""
    if not runs(host):
        raise InvalidPlatform("units need systemd, which does not run on this node")
    return look(host, unit).stale


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
