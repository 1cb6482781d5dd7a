"""What an ordinary user's agent may not do, and how that is said: `NotPermitted: needs root: ...`.

It looks at everything all the same, and does what that user may. Root is never told of here.
"""

from __future__ import annotations

from typing import Optional

from agent.contract.wire import BodyStep
from agent.host.port import Host
from agent.steps.step import StepFailed, why

_WORDS = "NotPermitted: needs root: "
_NEEDS_ROOT = {
    "ops:group": "to change accounts",
    "ops:kernelModule": "to load kernel modules",
    "ops:mount": "to mount file systems",
    "ops:package": "to change packages",
    "ops:repository": "to change repositories",
    "ops:service": "to change services",
    "ops:user": "to change accounts",
}
"""Actions of which other programs refuse the changes, each in words of its own; the others fail at a file."""


def refusal(host: Host, step: BodyStep) -> Optional[StepFailed]:
    """Why the step's changes are not even tried; None where they are."""
    if host.privileged or host.sandbox or step.action not in _NEEDS_ROOT:
        return None
    return StepFailed(_WORDS + _NEEDS_ROOT[step.action])


def told(host: Host, failure: Optional[StepFailed]) -> Optional[StepFailed]:
    """The same failure, with the user to blame where it came of being none but that."""
    if failure is None or host.privileged or not isinstance(failure.__cause__, PermissionError):
        return failure
    return StepFailed(_WORDS + failure.reason, rc=failure.rc, status=failure.status, output=failure.output)


def failed(host: Host, error: OSError) -> StepFailed:
    """What the operating system did not do."""
    denied = isinstance(error, PermissionError) and not host.privileged
    return StepFailed((_WORDS if denied else "") + why(error))
