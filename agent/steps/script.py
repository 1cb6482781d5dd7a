"""ops:script. A pair: `test` says whether something is to do, `apply` does it, `test` says whether it was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List

from agent.contract.claims import Claim
from agent.contract.inputs import ScriptInputs
from agent.host.port import Host, Ran
from agent.steps.diff import bounded
from agent.steps.execution import ending, run_lines, transcript
from agent.steps.step import Applied, Change, Given, StepFailed


@dataclass(frozen=True)
class Observed:
    """How the check ended."""

    test: Ran


class ScriptStep:
    """A state that only a script can see and make."""

    def observe(self, host: Host, desired: ScriptInputs, given: Given) -> Observed:
        try:
            return Observed(run_lines(host, desired.test, desired.working_directory, desired.timeout_seconds, given))
        except StepFailed as error:
            raise StepFailed("test: " + error.reason, rc=error.rc, status=error.status, output=error.output) from error

    def changes(self, desired: ScriptInputs, observed: Observed, given: Given) -> List[Change]:
        if observed.test.rc == 0:
            return []
        applied = bounded(["+ " + line for line in desired.apply])
        return [Change(Claim("script", given.step), "test: " + ending(observed.test), "test: exit 0", applied)]

    def apply(self, host: Host, desired: ScriptInputs, changes: List[Change], given: Given) -> Applied:
        del changes
        ran = run_lines(
            host, desired.apply, desired.working_directory, desired.timeout_seconds, given, label=given.step
        )
        if ran.rc:
            raise StepFailed("apply: " + ending(ran), rc=ran.rc, output=transcript(ran))
        return Applied(transcript(ran))
