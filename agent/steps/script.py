"""ops:script. A pair: `test` says whether something is to do, `apply` does it, `test` says whether it was done."""

from __future__ import annotations

import dataclasses
from typing import List

from agent.contract.claims import Claim
from agent.contract.inputs.scripts import ScriptInputs
from agent.contract.record import dataclass
from agent.host.port import Host, Ran
from agent.steps.diff import bounded
from agent.steps.execution import ending, in_time, run_lines, stage_lines, transcript
from agent.steps.step import Applied, Change, Given, Interrupted, StepFailed


@dataclass(frozen=True)
class Observed:
    """How the check ended."""

    test: Ran


class ScriptStep:
    """A state that only a script can see and make."""

    def observe(self, host: Host, desired: ScriptInputs, given: Given) -> Observed:
        given = dataclasses.replace(given, execution="")
        try:
            return Observed(run_lines(host, desired.test, desired.working_directory, desired.timeout_seconds, given))
        except StepFailed as error:
            raise StepFailed("test: " + error.reason, rc=error.rc, status=error.status, output=error.output) from error

    def changes(self, desired: ScriptInputs, observed: Observed, given: Given) -> List[Change]:
        if observed.test.rc == 0:
            return []
        return [self._change(desired, given, "test: " + ending(observed.test))]

    def stage(self, host: Host, desired: ScriptInputs, given: Given) -> None:
        stage_lines(host, desired.apply, given)

    def apply(self, host: Host, desired: ScriptInputs, changes: List[Change], given: Given) -> Applied:
        del changes
        try:
            ran = run_lines(host, desired.apply, desired.working_directory, desired.timeout_seconds, given)
        except Interrupted:
            raise
        except StepFailed as error:
            raise StepFailed("apply: " + error.reason, rc=error.rc, status=error.status, output=error.output) from error
        return self.outcome(desired, ran)

    def outcome(self, desired: ScriptInputs, ran: Ran) -> Applied:
        in_time(ran, desired.timeout_seconds)
        if ran.rc:
            raise StepFailed("apply: " + ending(ran), rc=ran.rc, output=transcript(ran))
        return Applied(transcript(ran))

    def underway(self, desired: ScriptInputs, given: Given) -> List[Change]:
        return [self._change(desired, given, "its apply was under way")]

    def _change(self, desired: ScriptInputs, given: Given, before: str) -> Change:
        applied = bounded(["+ " + line for line in desired.apply])
        return Change(Claim("script", given.step), before, "test: exit 0", applied)
