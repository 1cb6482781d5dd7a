"""`aws:executeAwsApi` and the two that look at a property: SSM's API is answered here, others by AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.controller.automation.work import outside
from reconciler.core.executions import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.work import Blocking, Work
    from reconciler.core.ports import Outside

ACTIONS = ("aws:assertAwsResourceProperty", "aws:executeAwsApi", "aws:waitForAwsResourceProperty")


def calls(ours: Mapping[str, Blocking], ports: Mapping[str, Outside]) -> dict[str, Blocking]:
    """Handlers by action. `ours` are services that this system answers itself, by name."""
    return {action: _call(ours, ports.get(action)) for action in ACTIONS}


def _call(ours: Mapping[str, Blocking], port: Outside | None) -> Blocking:
    def call(work: Work) -> Answer:
        service = str(work.inputs.get("Service", "")).lower()
        if service in ours:
            return ours[service](work)
        if port is None:
            return Answer("Failed", reason=f"Unsupported: `{service}` is a service of AWS's: needs the aws extra")
        return outside(port)(work)

    return call
