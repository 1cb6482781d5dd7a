"""aws:runShellScript. A script that is run once per generation or instant, by what the journal says of it.

It is compliant when that run ended well. A run that was begun and never ended is not begun again by itself.
"""

from __future__ import annotations

from typing import List, Optional

from agent.contract.claims import Claim
from agent.contract.inputs.scripts import RunShellScriptInputs
from agent.contract.record import dataclass
from agent.host.port import Host, Ran
from agent.steps.diff import bounded
from agent.steps.execution import (
    REBOOT,
    SUCCESS_AND_EXIT,
    ending,
    in_time,
    run_lines,
    stage_lines,
    transcript,
)
from agent.steps.step import Applied, Change, Given, Interrupted, RebootWanted, StepFailed

ENDED_WELL = (0, SUCCESS_AND_EXIT)


@dataclass(frozen=True)
class Observed:
    """The exit code of the run, None before it."""

    rc: Optional[int]


class ShellStep:
    """One run of a script."""

    def observe(self, host: Host, desired: RunShellScriptInputs, given: Given) -> Observed:
        del host, desired
        return of_run(given)

    def changes(self, desired: RunShellScriptInputs, observed: Observed, given: Given) -> List[Change]:
        if observed.rc is not None:
            return []
        return self.underway(desired, given)

    def stage(self, host: Host, desired: RunShellScriptInputs, given: Given) -> None:
        stage_lines(host, desired.run_command, given)

    def apply(self, host: Host, desired: RunShellScriptInputs, changes: List[Change], given: Given) -> Applied:
        del changes
        ran = run_lines(host, desired.run_command, desired.working_directory, desired.timeout_seconds, given)
        return self.outcome(desired, ran)

    def outcome(self, desired: RunShellScriptInputs, ran: Ran) -> Applied:
        in_time(ran, desired.timeout_seconds)
        if ran.rc == REBOOT:
            raise RebootWanted(ran.rc, transcript(ran))
        if ran.rc not in ENDED_WELL:
            raise StepFailed(ending(ran), rc=ran.rc, output=transcript(ran))
        return Applied(transcript(ran), ran.rc)

    def underway(self, desired: RunShellScriptInputs, given: Given) -> List[Change]:
        script = bounded(["+ " + line for line in desired.run_command])
        return [Change(Claim("script", given.step), "not run", "run, exit 0", script)]


def of_run(given: Given) -> Observed:
    """What the journal says of a run that is run once. Raises what became of one that did not end well."""
    if given.recalled is None:
        return Observed(None)
    if len(given.recalled) == 2:
        raise RebootWanted(REBOOT) if given.recalled[0] == "rebooting" else Interrupted
    _, rc, status = given.recalled
    if status == "Interrupted":
        raise Interrupted
    if status == "Success":
        return Observed(rc)
    raise StepFailed("its run ended with %s" % _ended(rc, status), rc=rc, status=status)


def _ended(rc: int, status: str) -> str:
    if status == "TimedOut":
        return "its time"
    return "exit %d" % rc if rc >= 0 else "signal %d" % -rc
