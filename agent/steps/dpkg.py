"""What dpkg's own status file says, read without a process."""

from __future__ import annotations

from typing import Dict, Optional, Sequence

from agent.host.port import Host
from agent.steps.packages import Installed

STATUS = "/var/lib/dpkg/status"
_STATUS_AT_MOST = 256 * 1024 * 1024


def installed(host: Host, names: Sequence[str]) -> Dict[str, Installed]:
    """Each name (`NAME` or `NAME:ARCHITECTURE`) that is on the node."""
    status = b"\n" + host.read(STATUS, _STATUS_AT_MOST)
    found = {}
    for name in names:
        have = _in_status(status, name)
        if have is not None:
            found[name] = have
    return found


def _in_status(status: bytes, name: str) -> Optional[Installed]:
    bare, _, architecture = name.partition(":")
    line, at = b"\nPackage: %s\n" % bare.encode(), -1
    while True:
        at = status.find(line, at + 1)
        if at < 0:
            return None
        fields = _fields(status[at + 1 : _end_of(status, at + 1)])
        if architecture and fields.get("Architecture") != architecture:
            continue
        condition = fields.get("Status", "").rpartition(" ")[2]
        if condition not in ("not-installed", "config-files", ""):
            return Installed(fields.get("Version", ""), condition)


def _end_of(status: bytes, start: int) -> int:
    end = status.find(b"\n\n", start)
    return len(status) if end < 0 else end


def _fields(stanza: bytes) -> Dict[str, str]:
    fields = {}
    for line in stanza.decode("utf-8", "replace").split("\n"):
        key, colon, value = line.partition(": ")
        if colon and not key.startswith(" "):
            fields[key] = value
    return fields
