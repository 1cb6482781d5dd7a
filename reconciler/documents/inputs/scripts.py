"""Scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.documents.inputs.flaw import Flaw
from reconciler.documents.inputs.words import at_least

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import scripts
    from reconciler.documents.inputs.flaw import Checks


def _timeout(
    typed: scripts.ScriptInputs | scripts.RunShellScriptInputs | scripts.RunPowerShellScriptInputs,
) -> Iterator[Flaw]:
    yield from at_least("timeoutSeconds", typed.timeout_seconds, 1)


def _script(typed: scripts.ScriptInputs) -> Iterator[Flaw]:
    yield from _timeout(typed)
    for name in ("test", "apply"):
        if not "".join(getattr(typed, name)).strip():
            yield Flaw(name, "is empty", "lines of a shell script")


CHECKS: Checks = {
    "ops:script": _script,
    "aws:runPowerShellScript": _timeout,
    "aws:runShellScript": _timeout,
}
