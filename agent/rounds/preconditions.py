"""Which steps are none of this node's: what a sandbox does not do, and what SSM's preconditions keep away."""

from __future__ import annotations

from typing import List

from agent.contract.wire import BodyStep
from agent.host.port import Host
from agent.steps.registry import NO_SCRIPTS, NOT_IN_A_SANDBOX, SCRIPTS


def unmet(step: BodyStep, host: Host) -> str:
    """Why the step is not for this node; empty where it is."""
    if host.sandbox and step.action in NOT_IN_A_SANDBOX:
        return NOT_IN_A_SANDBOX[step.action]
    if step.action in SCRIPTS and not host.runs_scripts:
        return NO_SCRIPTS
    for operator, operands in (step.precondition or {}).items():
        if operator != "StringEquals" or len(operands) != 2:
            return "Unsupported: precondition %s" % operator
        said = [host.platform if operand == "platformType" else operand for operand in operands]
        if not _equal(said, of_platform="platformType" in operands):
            return "its precondition is not met: %s is %s, not %s" % (operands[0], said[0], said[1])
    return ""


def _equal(said: List[str], *, of_platform: bool) -> bool:
    """As SSM's agent compares: the case of a platform's name does not matter."""
    return said[0] == said[1] or (of_platform and said[0].lower() == said[1].lower())
