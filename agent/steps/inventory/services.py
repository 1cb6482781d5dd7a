"""AWS:Service: services of systemd, or init scripts, in the words that SSM has for services of Windows."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List

from agent.contract.inventory import TYPE_LIMIT, VALUE_LIMIT, Content
from agent.host.port import Host
from agent.steps.execution import ended_well
from agent.steps.step import StepFailed

_SECONDS = 60.0
_PROPERTIES = ("Id", "Description", "LoadState", "ActiveState", "Type", "UnitFileState", "Requires", "RequiredBy")
_STATUS = {
    "unknown": "",
    "active": "Running",
    "reloading": "Running",
    "activating": "StartPending",
    "deactivating": "StopPending",
}
_START = {"enabled": "Automatic", "enabled-runtime": "Automatic", "generated": "Automatic", "masked": "Disabled"}


_SCRIPTS, _LEVELS = "/etc/init.d", tuple("/etc/rc%d.d" % level for level in range(2, 6))
_NO_SERVICES = ("README", "functions", "skeleton")
_STARTED = re.compile(r"S[0-9]{2}(.+)\Z")


def collect(host: Host) -> Content:
    """Services, in the order of their names: what systemd has loaded, or else init scripts, of which nobody knows
    without asking each whether it runs.
    """
    if host.lstat("/run/systemd/system") is not None:
        return _of_systemd(host)
    if host.lstat(_SCRIPTS) is None:
        raise StepFailed("Unsupported: needs systemd or init scripts, which this node has neither of")
    started = {found.group(1) for level in _LEVELS for found in map(_STARTED.match, _names(host, level)) if found}
    names = [name for name in _names(host, _SCRIPTS) if name not in _NO_SERVICES and not name.startswith(".")]
    return [
        _item({"Id": name, "ActiveState": "unknown", "UnitFileState": "enabled" if name in started else ""})
        for name in names
    ]


def _names(host: Host, directory: str) -> List[str]:
    return host.listdir(directory) if host.lstat(directory) is not None else []


def _of_systemd(host: Host) -> Content:
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
