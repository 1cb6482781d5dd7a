"""AWS:InstanceDetailedInformation: processors and kernel; AWS:AWSComponent: the agent itself."""

from __future__ import annotations

import os
from typing import Dict, List, Set, Tuple

import agent
from agent.contract.inventory import Content
from agent.host.port import Host

_CPUINFO_AT_MOST = 16 * 1024 * 1024


def detailed(host: Host) -> Content:
    """One item: what processors there are, and which kernel runs."""
    processors = _processors(host)
    first = processors[0] if processors else {}
    sockets = {one.get("physical id", "0") for one in processors}
    cores: Set[Tuple[str, str]] = {
        (one.get("physical id", "0"), one.get("core id", one.get("processor", ""))) for one in processors
    }
    siblings, per_socket = first.get("siblings", ""), first.get("cpu cores", "")
    return [
        {
            "CPUModel": first.get("model name", first.get("Processor", "")),
            "CPUSpeedMHz": first.get("cpu MHz", "").partition(".")[0],
            "CPUs": str(len(processors)),
            "CPUSockets": str(len(sockets)),
            "CPUCores": str(len(cores)),
            "CPUHyperThreadEnabled": "true" if siblings and siblings != per_socket else "false",
            "OSServicePack": "",
            "KernelVersion": _line(host, "/proc/sys/kernel/osrelease"),
        }
    ]


def component(host: Host) -> Content:
    """One item: this agent."""
    del host
    return [
        {
            "Name": "opsctl-agent",
            "Publisher": "opsctl",
            "Version": agent.__version__,
            "ApplicationType": "opsctl",
            "Architecture": os.uname().machine,
            "InstalledTime": "",
            "URL": "",
        }
    ]


def _processors(host: Host) -> List[Dict[str, str]]:
    text = host.read("/proc/cpuinfo", _CPUINFO_AT_MOST).decode("utf-8", "replace")
    found = []
    for block in text.split("\n\n"):
        pairs = [line.split(":", 1) for line in block.split("\n") if ":" in line]
        fields = {pair[0].strip(): pair[1].strip() for pair in pairs}
        if "processor" in fields:
            found.append(fields)
    return found


def _line(host: Host, path: str) -> str:
    try:
        return host.read(path, 4096).decode("utf-8", "replace").strip()
    except OSError:
        return ""
