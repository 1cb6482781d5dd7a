"""ops:timer. A command at instants of the calendar, by systemd: a oneshot service, its timer, and the timer's running.

Both files are written whole, and systemd has read them before the timer is started. A run under way is never touched.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from agent.contract.claims import Claim
from agent.contract.inputs.files import FileInputs
from agent.contract.inputs.services import ServiceInputs, TimerInputs
from agent.contract.paths import unit_file
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps import file, systemd
from agent.steps.derived import FILE, one_line
from agent.steps.service import ServiceStep
from agent.steps.step import Applied, Change, Given, State, StepFailed
from agent.steps.unit import reload

_SERVICE = ServiceStep()


@dataclass(frozen=True)
class Observed:
    """The files of service and timer, and the timer as systemd has it; None in a sandbox, which has no services.

    `stale` says that systemd goes by older files.
    """

    files: Tuple[file.Observed, file.Observed]
    timer: Optional[systemd.Observed]
    stale: bool = False


class TimerStep:
    """A timer that waits for its next instant, or none."""

    def observe(self, host: Host, desired: TimerInputs, given: Given) -> Observed:
        one, other = (FILE.observe(host, wanted, given) for wanted in _files(desired))
        if host.sandbox:
            return Observed((one, other), None)
        timer = _SERVICE.observe(host, _running(desired), given)
        return Observed((one, other), timer, timer.stale or systemd.stale(host, desired.name + ".service"))

    def changes(self, desired: TimerInputs, observed: Observed, given: Given) -> List[Change]:
        found = []
        for wanted, seen in zip(_files(desired), observed.files):
            found += FILE.changes(wanted, seen, given)
        if observed.timer is not None:
            found += _SERVICE.changes(_running(desired), observed.timer, given)
        if not found and observed.stale:
            found = [Change(Claim("unit", desired.name + ".timer"), "not read by systemd", "read by systemd", "", ())]
        return found

    def apply(self, host: Host, desired: TimerInputs, changes: List[Change], given: Given) -> Applied:
        running = [change for change in changes if change.claim.kind == "unit"]
        if desired.state == "absent":
            _SERVICE.apply(host, _running(desired), running, given)
        for wanted in _files(desired):
            FILE.apply(host, wanted, [change for change in changes if change.claim.name == wanted.path], given)
        reload(host)
        if desired.state == "present":
            _SERVICE.apply(host, _running(desired), running, given)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        if claim.kind == "path":
            return FILE.state(observed.files[claim.name.endswith(".timer")], claim)
        return None if observed.timer is None else _SERVICE.state(observed.timer, claim)

    def current(self, host: Host, claim: Claim, left: State) -> State:
        return (FILE if claim.kind == "path" else _SERVICE).current(host, claim, left)

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        if claim.kind == "path":
            FILE.restore(host, claim, prior, left)
            reload(host)
        else:
            _SERVICE.restore(host, claim, prior, left)


def _running(desired: TimerInputs) -> ServiceInputs:
    present = desired.state == "present"
    return ServiceInputs(desired.name + ".timer", state="started" if present else "stopped", enabled=present)


def _files(desired: TimerInputs) -> Tuple[FileInputs, FileInputs]:
    """The service's file and the timer's."""
    paths = [unit_file(desired.name + suffix) for suffix in (".service", ".timer")]
    if desired.state == "absent":
        return FileInputs(paths[0], state="absent"), FileInputs(paths[1], state="absent")
    return _file(paths[0], _service_lines(desired)), _file(paths[1], _timer_lines(desired))


def _file(path: str, lines: List[str]) -> FileInputs:
    return FileInputs(path, content="\n".join(lines) + "\n", mode="0644", owner="root", group="root")


def _service_lines(desired: TimerInputs) -> List[str]:
    user = ["User=" + one_line("user", desired.user)] if desired.user is not None else []
    command = one_line("command", desired.command)
    return ["[Unit]", "Description=" + _said(desired), "", "[Service]", "Type=oneshot", *user, "ExecStart=" + command]


def _timer_lines(desired: TimerInputs) -> List[str]:
    if not desired.on_calendar:
        raise StepFailed("`onCalendar` is empty; it says when the command runs")
    calendar = ["OnCalendar=" + one_line("onCalendar", instant) for instant in desired.on_calendar]
    delay = ["RandomizedDelaySec=%d" % desired.randomized_delay_seconds] if desired.randomized_delay_seconds else []
    persistent = ["Persistent=true"] if desired.persistent else []
    install = ["[Install]", "WantedBy=timers.target"]
    return ["[Unit]", "Description=" + _said(desired), "", "[Timer]", *calendar, *delay, *persistent, "", *install]


def _said(desired: TimerInputs) -> str:
    return one_line("description", desired.description or desired.name)
