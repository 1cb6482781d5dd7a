"""AWS:Service: services of systemd, in the words that SSM has for those of Windows."""

from __future__ import annotations

from typing import Dict, Iterator, List

from agent.contract.inventory import TYPE_LIMIT, VALUE_LIMIT, Content
from agent.host.port import Host
from agent.steps.execution import ended_well
from agent.steps.step import StepFailed

_SECONDS = 60.0
_PROPERTIES = ("Id", "Description", "LoadState", "ActiveState", "Type", "UnitFileState", "Requires", "RequiredBy")
_STATUS = {
    "active": "Running",
    "reloading": "Running",
    "activating": "StartPending",
    "deactivating": "StopPending",
}
_START = {"enabled": "Automatic", "enabled-runtime": "Automatic", "generated": "Automatic", "masked": "Disabled"}


def collect(host: Host) -> Content:
    """Services that systemd has loaded, in the order of their names."""
    if host.lstat("/run/systemd/system") is None:
        raise StepFailed("Unsupported: needs systemd, which does not run on this node")
    argv = ["systemctl", "show", "--all", "--property=" + ",".join(_PROPERTIES), "--", "*.service"]
    ran = host.run(argv, timeout=_SECONDS, keep=4 * TYPE_LIMIT)
    ended_well(ran, "systemctl show", _SECONDS)
    found = [unit for unit in _units(ran.stdout.decode("utf-8", "replace")) if unit.get("LoadState") == "loaded"]
    return sorted(map(_item, found), key=lambda item: item["Name"])


def _units(text: str) -> Iterator[Dict[str, str]]:
    for block in text.split("\n\n"):
        pairs: List[List[str]] = [line.split("=", 1) for line in block.strip().split("\n") if "=" in line]
        if pairs:
            yield {pair[0]: pair[1] for pair in pairs}


def _item(unit: Dict[str, str]) -> Dict[str, str]:
    return {
        "Name": unit.get("Id", ""),
        "DisplayName": unit.get("Description", "")[:VALUE_LIMIT],
        "Status": _STATUS.get(unit.get("ActiveState", ""), "Stopped"),
        "DependentServices": unit.get("RequiredBy", "")[:VALUE_LIMIT],
        "ServicesDependedOn": unit.get("Requires", "")[:VALUE_LIMIT],
        "ServiceType": unit.get("Type", ""),
        "StartType": _START.get(unit.get("UnitFileState", ""), "Manual"),
    }
