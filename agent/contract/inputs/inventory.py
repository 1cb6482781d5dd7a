"""What is collected about a node."""

from __future__ import annotations

from typing import Any

from agent.contract.codec import Wire, described
from agent.contract.record import dataclass


def _switch(what: str) -> Any:
    return described("`Enabled` to collect %s." % what, "Disabled", pattern="^(Enabled|Disabled|)$")


@dataclass(frozen=True)
class SoftwareInventoryInputs(Wire):
    """SSM's `aws:softwareInventory`: what is installed on the node, and what it is; kept by the server."""

    applications: str = _switch("installed packages (`AWS:Application`)")
    aws_components: str = _switch("the agent itself (`AWS:AWSComponent`)")
    files: str = described("Files to list (`AWS:File`), as SSM's JSON text.", "")
    network_config: str = _switch("network interfaces (`AWS:Network`)")
    services: str = _switch("services of the init system (`AWS:Service`)")
    instance_detailed_information: str = _switch("processors and kernel (`AWS:InstanceDetailedInformation`)")
    custom_inventory: str = _switch("types of your own (`Custom:...`)")
    custom_inventory_directory: str = described(
        "Where the files of these are; `/var/lib/opsctl/inventory` where empty.", ""
    )
    billing_info: str = _switch("what AWS charges the node as; of AWS's own machines only, so nothing here")
    windows_registry: str = described("Of Windows only, so nothing here.", "")
    windows_roles: str = _switch("roles of Windows; nothing here")
    windows_updates: str = _switch("updates of Windows; nothing here")
