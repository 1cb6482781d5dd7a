"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass

_LINUX = struct.Struct("=iII")  # struct ucred: pid, uid, gid
_BSD = struct.Struct("=II")  # the head of struct xucred: version (0), uid
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected. `pid` is 0 where the system does not tell."""

    uid: int
    pid: int = 0


def peer_of(descriptor: int) -> Peer | None:
    """The peer of a connected Unix socket; None where the system does not vouch for one, which grants nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=os.dup(descriptor)) as connection:
        return _asked(connection)


def _asked(connection: socket.socket) -> Peer | None:
    try:
        if sys.platform == "linux":
            pid, uid, _ = _LINUX.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX.size))
            return Peer(uid, pid)
        version, uid = _BSD.unpack(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)[: _BSD.size])
        return Peer(uid) if version == 0 else None
    except (OSError, struct.error):
        return None
