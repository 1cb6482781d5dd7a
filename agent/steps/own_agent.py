"""aws:refreshAssociation and aws:updateSsmAgent: what the agent is asked to do about itself."""

from __future__ import annotations

import shlex
from typing import List

from agent.contract.inputs.agent import RefreshAssociationInputs, UpdateSsmAgentInputs
from agent.host.port import Host
from agent.steps.own import OwnRun
from agent.steps.run import ScriptRun
from agent.steps.step import Applied, Change, Given, Itself, StepFailed


class RefreshAssociationStep(OwnRun):
    """Associations made due now."""

    def shown(self, desired: RefreshAssociationInputs) -> List[str]:
        return ["refresh %s" % (", ".join(_names(desired)) or "all associations")]

    def apply(self, host: Host, desired: RefreshAssociationInputs, changes: List[Change], given: Given) -> Applied:
        del host, changes
        told = _itself(given).refreshed(_names(desired))
        return Applied("".join(line + "\n" for line in told))


class UpdateAgentStep(ScriptRun):
    """The agent's own upgrade, as a script: it outlives the agent that it takes the place of, which is taken up by the
    next one.
    """

    def lines(self, host: Host, desired: UpdateSsmAgentInputs, given: Given) -> List[str]:
        del host
        words = _itself(given).upgrade_command()
        if not words:
            return ["echo 'this agent is started by its server at each visit, in the version that it has'"]
        words += ["--allow-downgrade"] if desired.allow_downgrade else []
        words += ["--version", desired.target_version] if desired.target_version else []
        return ["exec " + " ".join(map(shlex.quote, words))]

    def shown(self, desired: UpdateSsmAgentInputs) -> List[str]:
        return ["upgrade to %s" % (desired.target_version or "the version that the server offers")]


def _names(desired: RefreshAssociationInputs) -> List[str]:
    return [name.strip() for name in desired.association_ids if name.strip()]


def _itself(given: Given) -> Itself:
    if given.itself is None:
        raise StepFailed("Unsupported: needs a node of a fleet, which this machine is not here")
    return given.itself
