"""aws:softwareInventory. What is on the node is collected, by type, and left with the agent, which tells its server.

A type that cannot be collected does not keep the others from being; the step fails then, and says which and why.
"""

from __future__ import annotations

from typing import Callable, List, Tuple

from agent.contract.canonical import instant
from agent.contract.inputs.inventory import SoftwareInventoryInputs
from agent.contract.inventory import Content, Inventory, NotInventory, packed
from agent.host.port import Host
from agent.steps.inventory import applications, custom, files, machine, network, services
from agent.steps.own import OwnRun
from agent.steps.step import Applied, Change, Given, StepFailed, why

_Found = List[Tuple[str, str, Content]]
_Collect = Callable[[Host, SoftwareInventoryInputs], _Found]


class SoftwareInventoryStep(OwnRun):
    """One collection."""

    def shown(self, desired: SoftwareInventoryInputs) -> List[str]:
        return ["collect " + name for name, _ in _wanted(desired)]

    def apply(self, host: Host, desired: SoftwareInventoryInputs, changes: List[Change], given: Given) -> Applied:
        del changes
        found: List[Inventory] = []
        lines: List[str] = []
        failures: List[str] = []
        for name, collect in _wanted(desired):
            some, failure = _collected(collect, host, desired)
            found += some
            failures += ["%s: %s" % (name, failure)] if failure else []
        if given.itself is not None:
            given.itself.collected(found)
        else:
            lines.append("this is no node of a fleet: what was collected is kept nowhere")
        lines += ["%s: collected, %s" % (one.type_name, one.content_hash) for one in found] + failures
        said = "".join(line + "\n" for line in lines)
        if failures:
            raise StepFailed("; ".join(failures), output=said)
        return Applied(said)


def _collected(collect: _Collect, host: Host, desired: SoftwareInventoryInputs) -> Tuple[List[Inventory], str]:
    """What was collected, packed, and why it was not all; empty where it was."""
    try:
        return [
            packed(name, version, instant(host.now()), items) for name, version, items in collect(host, desired)
        ], ""
    except OSError as error:
        return [], why(error)
    except (StepFailed, NotInventory) as error:
        return [], str(error)


def _custom(host: Host, desired: SoftwareInventoryInputs) -> _Found:
    return custom.collect(host, desired.custom_inventory_directory or custom.DIRECTORY)


_TYPES: Tuple[Tuple[str, str, _Collect], ...] = (
    ("applications", "AWS:Application", lambda host, _: [("AWS:Application", "1.1", applications.collect(host))]),
    ("aws_components", "AWS:AWSComponent", lambda host, _: [("AWS:AWSComponent", "1.0", machine.component(host))]),
    ("files", "AWS:File", lambda host, desired: [("AWS:File", "1.0", files.collect(host, desired.files))]),
    ("network_config", "AWS:Network", lambda host, _: [("AWS:Network", "1.0", network.collect(host))]),
    ("services", "AWS:Service", lambda host, _: [("AWS:Service", "1.0", services.collect(host))]),
    (
        "instance_detailed_information",
        "AWS:InstanceDetailedInformation",
        lambda host, _: [("AWS:InstanceDetailedInformation", "1.0", machine.detailed(host))],
    ),
    ("custom_inventory", "Custom", _custom),
)
"""Input, type, and how it is collected."""


def _wanted(desired: SoftwareInventoryInputs) -> List[Tuple[str, _Collect]]:
    return [
        (name, collect) for asked, name, collect in _TYPES if getattr(desired, asked).strip() not in ("", "Disabled")
    ]
