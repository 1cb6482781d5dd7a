"""What is asked of the node's agent itself."""

from __future__ import annotations

from typing import List

from agent.contract.codec import Wire, described
from agent.contract.record import dataclass


@dataclass(frozen=True)
class RefreshAssociationInputs(Wire):
    """SSM's `aws:refreshAssociation`: associations of the node are run now, without waiting for their time."""

    association_ids: List[str] = described(
        "Names of associations; all that the node has where empty.", [], one_or_many=True
    )


@dataclass(frozen=True)
class UpdateSsmAgentInputs(Wire):
    """SSM's `aws:updateSsmAgent`: the agent moves to the version that its server offers."""

    agent_name: str = described("Has no effect: it is the agent that does this.", "")
    source_: str = described("Has no effect: it comes from the node's own server.", "")
    target_version: str = described("The version that is wanted, where another one is no good; any where empty.", "")
    allow_downgrade: bool = described("Whether an older version is taken too.", False)
