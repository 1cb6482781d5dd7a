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
