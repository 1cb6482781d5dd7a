"""Actions by name: what agents of this version run, and what else SSM has."""

from __future__ import annotations

from agent.contract.inputs import ACTIONS, action_of
from reconciler.core.problem import nearest
from reconciler.documents.plugins import PLUGINS
from reconciler.documents.runbook import actions as automation

OF_COMMANDS = tuple(action for action in ACTIONS if action in PLUGINS or action not in automation.ACTIONS)
"""Actions that agents run, without those that only Automation documents have."""
RUNNABLE = ", ".join(OF_COMMANDS)


def unknown(action: str) -> tuple[str, str] | None:
    """Why no Command document can have this action, and the nearest that it can; None for one that it can."""
    if action in OF_COMMANDS or action in PLUGINS or action.startswith("x:"):
        return None
    near = nearest(action, PLUGINS.keys() | set(OF_COMMANDS))
    if action in automation.ACTIONS:
        return f"`{action}` belongs into Automation documents", near
    return f"there is no action `{action}`", near


def not_run(action: str) -> str:
    """Why agents of this version do not run an action that is not unknown; empty for one that they do."""
    if action_of(action):
        return ""
    if action in PLUGINS and PLUGINS[action].lacks:
        return f"`{action}` needs {PLUGINS[action].lacks}: the step fails on every node"
    return f"`{action}` is SSM's, but agents of this version do not run it"


def is_sent(action: str) -> bool:
    """Whether a step that no agent runs is given to nodes all the same, where it fails and says what it needs."""
    return action in PLUGINS and bool(PLUGINS[action].lacks)
