"""What a node says of itself: platform facts, read from files alone.

They are shown and may be used by templates; nothing is trusted because of them. So they hold what stays as it is while
the node runs (no load, no free memory): a fact that moves would make every file that uses it drift.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Dict, Iterator, List, Optional

from agent.host.port import Host

_TEXT_AT_MOST = 256
_ADDRESSES_AT_MOST = 64
_FILE_AT_MOST = 1024 * 1024
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_RELEASE_FACTS = {"ID": "osId", "VERSION_ID": "osVersion", "VERSION_CODENAME": "osCodename", "PRETTY_NAME": "osName"}
_LOCAL_IPV4 = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


def collect(host: Host) -> Dict[str, Any]:
    """Facts of the machine; give it the whole machine's host, also for a sandbox. What cannot be read is left out."""
    system = os.uname()
    facts: Dict[str, Any] = {
        "hostname": system.nodename,
        "platformType": host.platform,
        "kernel": system.release,
        "architecture": system.machine,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "cpus": os.cpu_count(),
        "memoryBytes": memory(host),
        "init": init_system(host),
        "addresses": addresses(host),
    }
    facts.update(release(host))
    return {name: _short(value) for name, value in facts.items() if value not in (None, "")}


def release(host: Host) -> Dict[str, str]:
    """os-release(5): distribution and version."""
    text = next(filter(None, (_read(host, path) for path in _OS_RELEASE)), "")
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name in _RELEASE_FACTS:
            found[_RELEASE_FACTS[name]] = value.strip().strip("\"'")
    return found


def memory(host: Host) -> Optional[int]:
    """Bytes of memory that the kernel manages."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", _read(host, "/proc/meminfo"), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def init_system(host: Host) -> str:
    if host.lstat("/run/systemd/system") is not None:
        return "systemd"
    return _read(host, "/proc/1/comm").strip()


def addresses(host: Host) -> List[str]:
    """The node's own addresses, in order, without those that mean only itself or its link."""
    found = set(_LOCAL_IPV4.findall(_read(host, "/proc/net/fib_trie")))
    ours = sorted(address for address in found if not address.startswith("127."))
    return (ours + sorted(_ipv6(_read(host, "/proc/net/if_inet6"))))[:_ADDRESSES_AT_MOST]


def boot_id(host: Host) -> str:
    """The kernel's name for this boot; empty where it has none."""
    return _read(host, "/proc/sys/kernel/random/boot_id").strip()


def _ipv6(table: str) -> Iterator[str]:
    from _socket import AF_INET6, inet_ntop  # the part of `socket` that has it; the rest takes longer than all facts

    for line in table.splitlines():
        fields = line.split()
        if len(fields) == 6 and fields[3] == "00":  # global scope
            yield inet_ntop(AF_INET6, bytes.fromhex(fields[0]))


def _read(host: Host, path: str) -> str:
    try:
        return host.read(path, _FILE_AT_MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def _short(value: Any) -> Any:
    return value[:_TEXT_AT_MOST] if isinstance(value, str) else value
