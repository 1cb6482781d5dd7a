"""Converging on a real node, for the tests of steps that need one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import agent
from agent.contract.codec import to_wire
from agent.contract.wire import BodyStep
from tests.agent.converging import body
from tests.agent.steps import on_node
from tests.fleet.node import Node

SITE, STATE = "/opt/site", "/var/lib/opsctl"


class Converged:
    """What one run in the node said."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.status, self.output, self.changed = said["status"], said["output"], said["changed"]
        self.outcomes = {claim["claim"]: claim["outcome"] for claim in said["claims"]}
        self.reasons = {claim["claim"]: claim.get("reason", "") for claim in said["claims"]}
        self.changes = {claim["claim"]: (claim.get("before"), claim.get("after")) for claim in said["claims"]}


def furnish(node: Node) -> Node:
    """Puts the agent's source on a node."""
    node.put(Path(agent.__file__).parent, f"{SITE}/agent")
    node.put(Path(on_node.__file__), f"{SITE}/on_node.py")
    return node


def converge(node: Node, *steps: BodyStep, **more: Any) -> Converged:
    """One run of a body of these steps in the node; `through` are words of a command that runs it."""
    through = more.pop("through", [])
    held = to_wire(body(*steps, prune=more.pop("prune", False), uid=more.pop("uid", "Association/web")))
    done = node.run(
        [*through, "python3", f"{SITE}/on_node.py", STATE],
        stdin=json.dumps({"body": held, **more}),
        env={"PYTHONPATH": SITE},
        timeout=200,
    )
    return Converged(json.loads(done.stdout))


def twice(node: Node, *steps: BodyStep, uid: str, generation: int = 1) -> dict[str, str]:
    """A dry run that foretells, a run that changes, a run that finds nothing to do; what the second changed."""
    dry = converge(node, *steps, uid=uid, generation=generation, apply=False)
    first = converge(node, *steps, uid=uid, generation=generation)
    assert first.status == "Success", first.reasons
    foretold = [name for name, outcome in dry.outcomes.items() if outcome == "Drifted"]
    assert foretold == [name for name, outcome in first.outcomes.items() if outcome == "Changed"]
    assert not converge(node, *steps, uid=uid, generation=generation, cause="Interval").changed
    return first.outcomes
