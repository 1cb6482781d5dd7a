"""AWS:Network: interfaces with their addresses."""

from __future__ import annotations

import re
from typing import Dict, List

from agent.contract.inventory import Content
from agent.host.port import Host
from agent.steps.execution import ended_well
from agent.steps.step import StepFailed

_INTERFACES = "/sys/class/net"
_ADDRESS = re.compile(r"^\d+: (\S+?)(?:@\S+)?\s+(inet6?) ([0-9A-Fa-f.:]+)(?:/\d+)?[ \n]", re.MULTILINE)
_SECONDS = 30.0


def collect(host: Host) -> Content:
    """Interfaces but the loopback, in the order of their names."""
    names = [name for name in host.listdir(_INTERFACES) if name != "lo" and _has_address(host, name)]
    addresses = _addresses(host)
    return [_item(host, name, addresses.get(name, {})) for name in names]


def _has_address(host: Host, name: str) -> bool:
    return bool(_hardware(host, name))


def _hardware(host: Host, name: str) -> str:
    try:
        return host.read("%s/%s/address" % (_INTERFACES, name), 256).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _addresses(host: Host) -> Dict[str, Dict[str, List[str]]]:
    try:
        ran = host.run(["ip", "-o", "address"], timeout=_SECONDS, keep=1024 * 1024)
    except FileNotFoundError:
        raise StepFailed("Unsupported: needs ip (of iproute2), which this node has not") from None
    ended_well(ran, "ip address", _SECONDS)
    found: Dict[str, Dict[str, List[str]]] = {}
    for name, family, address in _ADDRESS.findall(ran.stdout.decode("utf-8", "replace")):
        found.setdefault(name, {}).setdefault(family, []).append(address)
    return found


def _item(host: Host, name: str, addresses: Dict[str, List[str]]) -> Dict[str, str]:
    return {
        "Name": name,
        "MacAddress": _hardware(host, name),
        "IPV4": ",".join(addresses.get("inet", [])),
        "IPV6": ",".join(addresses.get("inet6", [])),
    }
