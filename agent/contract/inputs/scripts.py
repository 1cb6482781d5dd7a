"""What is done by a script."""

from __future__ import annotations

from typing import List, Optional

from agent.contract.codec import Wire, described
from agent.contract.record import dataclass


@dataclass(frozen=True)
class ScriptInputs(Wire):
    """A pair of shell scripts: `test` exits 0 when nothing is to do, `apply` brings it about."""

    test: List[str] = described("Lines of the check; must change nothing.", one_or_many=True)
    apply: List[str] = described("Lines run when the check does not exit 0.", one_or_many=True)
    working_directory: Optional[str] = described("Directory that both run in.", None)
    timeout_seconds: int = described("Limit for each of the two.", 3600)


@dataclass(frozen=True)
class RunShellScriptInputs(Wire):
    """SSM's `aws:runShellScript`: a script that is run, not a state that is held."""

    run_command: List[str] = described("Lines of the script.", one_or_many=True)
    working_directory: Optional[str] = described("Directory that it runs in.", None)
    timeout_seconds: int = described("Limit of the run.", 3600, quoted=True)


@dataclass(frozen=True)
class ExecuteScriptInputs(Wire):
    """SSM's `aws:executeScript`, of an Automation document: a function that is called, and what it returns.

    `runtime` is `python3.11`, `PowerShell 7.4` and their like; the node's own interpreter is the one that runs it.
    """

    runtime: str = described("Language of the script, with SSM's version of it.")
    script: Optional[str] = described("The script's text.", None)
    attachment: Optional[str] = described("Repository file with the script, or a zip archive of several.", None)
    handler: Optional[str] = described("Function of a Python script: `function`, or `module.function`.", None)
    input_payload: str = described("JSON object that the function is called with.", "{}")
    execution_id: str = described("The execution whose step it is.", "")
    timeout_seconds: int = described("Limit of the run.", 600, quoted=True)


@dataclass(frozen=True)
class RunPowerShellScriptInputs(Wire):
    """SSM's `aws:runPowerShellScript`: a script that is run, not a state that is held."""

    run_command: List[str] = described("Lines of the script.", one_or_many=True)
    working_directory: Optional[str] = described("Directory that it runs in.", None)
    timeout_seconds: int = described("Limit of the run.", 3600, quoted=True)
