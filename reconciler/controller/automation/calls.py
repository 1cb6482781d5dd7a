"""`aws:executeAwsApi` and the two that look at a property: SSM's API is answered here, others by AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from reconciler.controller.automation.work import outside
from reconciler.core.executions import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.work import Blocking, Work
    from reconciler.core.ports import Outside

ACTIONS = ("aws:assertAwsResourceProperty", "aws:executeAwsApi", "aws:waitForAwsResourceProperty")


Own: TypeAlias = Callable[["Work"], Answer | None]
"""Answers a call of a service, or says with None that it is not this system's to answer."""


def calls(ours: Mapping[str, Own], ports: Mapping[str, Outside]) -> dict[str, Blocking]:
    """Handlers by action. `ours` are services, by name, of which this system answers some calls or all."""
    return {action: _call(ours, ports.get(action)) for action in ACTIONS}


def _call(ours: Mapping[str, Own], port: Outside | None) -> Blocking:
    def call(work: Work) -> Answer:
        service = str(work.inputs.get("Service", "")).lower()
        found = ours[service](work) if service in ours else None
        if found is not None:
            return found
        if port is None:
            return Answer("Failed", reason=f"Unsupported: `{service}` is a service of AWS's: needs the aws extra")
        return outside(port)(work)

    return call
