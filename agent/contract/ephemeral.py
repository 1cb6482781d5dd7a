"""What an association may not ask of a node that keeps nothing between two visits."""

from __future__ import annotations

from typing import Any, Dict

from agent.contract.inputs import action_of

WORD = "EphemeralNode"
"""Begins the reason of what is refused for it."""


def refusal(body: Dict[str, Any]) -> str:
    """Why such a node cannot do what a body (as on the wire) says; empty where it can."""
    if body.get("prune") or body.get("onRemove") == "Prune":
        return "pruning takes the ledger of what was made, and an ephemeral node keeps none"
    for step in body.get("steps", ()):
        action = action_of(step.get("action", ""))
        if action is not None and not action.declarative:
            return (
                "%s runs once, and resumes after a reboot, by a journal, and an ephemeral node keeps none"
                % (step["action"])
            )
    return ""
