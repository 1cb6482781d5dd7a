"""Actions by name: what agents of this version run, and what else SSM has."""

from __future__ import annotations

from agent.contract.inputs import ACTIONS
from reconciler.core.problem import nearest

NODE_ACTIONS = frozenset(
    f"aws:{name}"
    for name in (
        "applications",
        "cloudWatch",
        "configureDocker",
        "configurePackage",
        "domainJoin",
        "downloadContent",
        "psModule",
        "refreshAssociation",
        "runDockerAction",
        "runDocument",
        "runPowerShellScript",
        "runShellScript",
        "softwareInventory",
        "updateAgent",
        "updateSsmAgent",
    )
)
"""What SSM runs on nodes from a Command document."""

AUTOMATION_ACTIONS = frozenset(
    f"aws:{name}"
    for name in (
        "approve",
        "assertAwsResourceProperty",
        "branch",
        "changeInstanceState",
        "copyImage",
        "createImage",
        "createStack",
        "createTags",
        "deleteImage",
        "deleteStack",
        "executeAutomation",
        "executeAwsApi",
        "executeScript",
        "executeStateMachine",
        "invokeLambdaFunction",
        "invokeWebhook",
        "loop",
        "pause",
        "runCommand",
        "runInstances",
        "sleep",
        "updateVariable",
        "waitForAwsResourceProperty",
    )
)
"""What SSM runs from an Automation document, never on a node."""

RUNNABLE = ", ".join(ACTIONS)


def unknown(action: str) -> tuple[str, str] | None:
    """Why no Command document can have this action, and the nearest that it can; None for one that it can."""
    if action in ACTIONS or action in NODE_ACTIONS or action.startswith("x:"):
        return None
    near = nearest(action, NODE_ACTIONS | ACTIONS.keys())
    if action in AUTOMATION_ACTIONS:
        return f"`{action}` belongs into Automation documents", near
    return f"there is no action `{action}`", near


def not_run(action: str) -> str:
    """Why agents of this version do not run an action that is not unknown; empty for one that they do."""
    if action in ACTIONS:
        return ""
    if action.startswith("x:"):
        return f"`{action}`: actions of the repository's own are not run by agents of this version"
    return f"`{action}` is SSM's, but agents of this version do not run it"
