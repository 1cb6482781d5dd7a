"""aws:runShellScript and aws:runPowerShellScript: lines of the user's own, run once."""

from __future__ import annotations

from typing import List, Optional

from agent.contract.inputs.scripts import RunPowerShellScriptInputs, RunShellScriptInputs
from agent.host.port import Host
from agent.steps.program import found
from agent.steps.run import ScriptRun
from agent.steps.step import Given


class ShellStep(ScriptRun):
    """One run of a shell script, or of one whose first line names its interpreter."""

    def lines(self, host: Host, desired: RunShellScriptInputs, given: Given) -> List[str]:
        del host, given
        return desired.run_command

    def shown(self, desired: RunShellScriptInputs) -> List[str]:
        return desired.run_command

    def directory(self, desired: RunShellScriptInputs) -> Optional[str]:
        return desired.working_directory

    def time(self, desired: RunShellScriptInputs) -> int:
        return desired.timeout_seconds


class PowerShellStep(ScriptRun):
    """One run of a PowerShell script, where the node has PowerShell."""

    def lines(self, host: Host, desired: RunPowerShellScriptInputs, given: Given) -> List[str]:
        del given
        program = found(host, "PowerShell", ("pwsh",), ("/opt/microsoft/powershell/7",))
        return ["#!%s -NoProfile" % program, *desired.run_command]

    def shown(self, desired: RunPowerShellScriptInputs) -> List[str]:
        return desired.run_command

    def directory(self, desired: RunPowerShellScriptInputs) -> Optional[str]:
        return desired.working_directory

    def time(self, desired: RunPowerShellScriptInputs) -> int:
        return desired.timeout_seconds
