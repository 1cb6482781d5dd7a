"""aws:refreshAssociation and aws:updateSsmAgent: what the agent is asked, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from agent.contract.codec import from_wire
from agent.contract.inputs.agent import RefreshAssociationInputs, UpdateSsmAgentInputs
from agent.contract.inventory import Inventory
from agent.host.memory import MemoryHost
from agent.host.port import Ran
from agent.steps.own_agent import RefreshAssociationStep, UpdateAgentStep
from agent.steps.step import Given, StepFailed


class Agent:
    """One that says what it was asked."""

    def __init__(self, *command: str) -> None:
        self.command = list(command)

    def collected(self, found: Sequence[Inventory]) -> None:
        raise AssertionError(found)

    def refreshed(self, names: Sequence[str]) -> list[str]:
        return [f"refreshed {name}" for name in names or ("everything",)]

    def upgrade_command(self) -> list[str]:
        return list(self.command)


def given(itself: Any) -> Given:
    return Given("web-1", {}, {}, {}, content=lambda _: b"", step="it", itself=itself)


@pytest.mark.parametrize(
    ("names", "said"), [([], "refreshed everything\n"), ([" a ", "", "b"], "refreshed a\nrefreshed b\n")]
)
def test_associations_are_refreshed_by_name(names: list[str], said: str) -> None:
    step, desired = RefreshAssociationStep(), from_wire(RefreshAssociationInputs, {"associationIds": names})
    assert step.apply(MemoryHost(), desired, [], given(Agent())).output == said
    with pytest.raises(StepFailed, match="Unsupported: needs a node of a fleet"):
        step.apply(MemoryHost(), desired, [], given(None))


@pytest.mark.parametrize(("command", "inputs", "script"), [
    (["/a b/agent", "upgrade"], {}, "exec '/a b/agent' upgrade\n"),
    (["agent"], {"targetVersion": "1.2", "allowDowngrade": True}, "exec agent --allow-downgrade --version 1.2\n"),
    ([], {}, "echo 'this agent is started by its server at each visit, in the version that it has'\n"),
])  # fmt: skip
def test_the_agent_is_upgraded_by_its_own_program(command: list[str], inputs: dict[str, Any], script: str) -> None:
    host = MemoryHost(sandbox=True)
    host.shell = lambda _, text: Ran(0, b"done\n")
    desired = from_wire(UpdateSsmAgentInputs, {"agentName": "amazon-ssm-agent", "source": "https://x", **inputs})
    assert UpdateAgentStep().apply(host, desired, [], given(Agent(*command))).output == "done\n"
    assert host.commands == [["sh", script]]
    with pytest.raises(StepFailed, match="Unsupported: needs a node of a fleet"):
        UpdateAgentStep().stage(host, desired, given(None))
