"""aws:executeScript. A function that is called once, in a process that can do little; what it returns is its output.

How it is called is a program of its own (`agent.host.confined`), which is put before what is asked of it.
"""

from __future__ import annotations

import base64
import json
import pkgutil
import posixpath
from typing import Any, Dict, List

from agent.contract.claims import Claim
from agent.contract.inputs.scripts import ExecuteScriptInputs
from agent.host.port import Host, Ran
from agent.host.script import python
from agent.steps.diff import bounded
from agent.steps.execution import ending, in_time, run_lines, stage_lines, transcript
from agent.steps.run import Observed, of_run
from agent.steps.step import Applied, Change, Given, StepFailed

ATTACHMENT = 8 * 1024 * 1024
"""Bytes of a script, or of an archive of several."""
_TRACEBACK = "Traceback (most recent call last):"
_REASON = 900


class ConfinedStep:
    """One call of a script's function."""

    def observe(self, host: Host, desired: ExecuteScriptInputs, given: Given) -> Observed:
        del host, desired
        return of_run(given)

    def changes(self, desired: ExecuteScriptInputs, observed: Observed, given: Given) -> List[Change]:
        return [] if observed.rc is not None else self.underway(desired, given)

    def stage(self, host: Host, desired: ExecuteScriptInputs, given: Given) -> None:
        stage_lines(host, _program(desired, given), given)

    def apply(self, host: Host, desired: ExecuteScriptInputs, changes: List[Change], given: Given) -> Applied:
        del changes
        return self.outcome(desired, run_lines(host, _program(desired, given), None, desired.timeout_seconds, given))

    def outcome(self, desired: ExecuteScriptInputs, ran: Ran) -> Applied:
        in_time(ran, desired.timeout_seconds)
        if ran.rc:
            raise StepFailed(_why(ran), rc=ran.rc, output=transcript(ran))
        return Applied(transcript(ran), ran.rc)

    def underway(self, desired: ExecuteScriptInputs, given: Given) -> List[Change]:
        lines = (desired.script or desired.attachment or "").splitlines()
        return [
            Change(Claim("script", given.step), "not run", "run, returned", bounded(["+ " + line for line in lines]))
        ]


def _program(desired: ExecuteScriptInputs, given: Given) -> List[str]:
    asked: Dict[str, Any] = {
        "kind": "powershell" if desired.runtime.lower().startswith("powershell") else "python",
        "script": desired.script,
        "handler": desired.handler or "",
        "payload": desired.input_payload,
        "context": {"automation:EXECUTION_ID": desired.execution_id},
        "seconds": desired.timeout_seconds,
    }
    if desired.attachment is not None:
        data = given.content(desired.attachment)
        if len(data) > ATTACHMENT:
            raise StepFailed("%s has %d bytes; at most %d" % (desired.attachment, len(data), ATTACHMENT))
        asked["name"] = posixpath.basename(desired.attachment)
        asked["attachment"] = base64.b64encode(data).decode()
    text = pkgutil.get_data("agent.host", "confined.py")
    assert text is not None
    call = "sys.exit(main(json.loads(%r)))" % json.dumps(asked)
    return ["#!%s -I" % python(), text.decode(), call]


def _why(ran: Ran) -> str:
    """What the script, or who calls it, said last."""
    said = ran.stderr.decode("utf-8", "replace").strip()
    at = said.rfind(_TRACEBACK)
    if at < 0:
        return said.splitlines()[-1][:_REASON] if said else ending(ran)
    shown = said[at:]
    return shown if len(shown) <= _REASON else _TRACEBACK + "\n...\n" + shown[-_REASON:]
