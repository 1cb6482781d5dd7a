"""A connection to a port of this node, to another machine's where the ticket says so, or to a socket."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from typing import Optional

from agent.contract.session import Ticket
from agent.streams.endpoint import NotOpened

CONNECT_SECONDS = 10.0
METADATA = ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
"""Addresses, besides link-local ones, where clouds hand out a machine's credentials."""


class Connection:
    """Implements `Endpoint`. Raises `NotOpened`; takes up to `CONNECT_SECONDS`."""

    def __init__(self, ticket: Ticket) -> None:
        where = ticket.path or "%s port %d" % (ticket.host or "this node", ticket.port)
        try:
            self._socket = _connected(ticket)
        except (OSError, ValueError) as error:
            raise NotOpened("%s: %s" % (where, getattr(error, "strerror", None) or error)) from error
        self._socket.setblocking(False)
        self.file = self._socket.fileno()
        self._both_ended = False

    def read(self, most: int) -> Optional[bytes]:
        try:
            return self._socket.recv(most)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def resize(self, rows: int, columns: int) -> None:
        """It has no size."""

    def signal(self, name: str) -> None:
        """Nothing runs in it."""

    def over(self) -> bool:
        return True

    def code(self) -> Optional[int]:
        return 0

    def close(self) -> None:
        self._socket.close()


def _connected(ticket: Ticket) -> socket.socket:
    if ticket.path:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            found.settimeout(CONNECT_SECONDS)
            found.connect(os.path.normpath(ticket.path))
        except BaseException:
            found.close()
            raise
        return found
    if not ticket.host:
        return _local(ticket.port)
    last: Exception = OSError("it has no address")
    for _, _, _, _, address in socket.getaddrinfo(ticket.host, ticket.port, type=socket.SOCK_STREAM):
        if is_metadata(str(address[0])):
            raise OSError("%s hands out a machine's credentials, which sessions do not get" % address[0])
        try:
            return _nagless(socket.create_connection((str(address[0]), ticket.port), CONNECT_SECONDS))
        except OSError as error:
            last = error
    raise last


def _local(port: int) -> socket.socket:
    """Servers listen on either of the two."""
    try:
        return _nagless(socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS))
    except ConnectionRefusedError:
        try:
            return _nagless(socket.create_connection(("::1", port), CONNECT_SECONDS))
        except OSError:
            raise ConnectionRefusedError("nobody listens there") from None


def _nagless(connected: socket.socket) -> socket.socket:
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def is_metadata(address: str) -> bool:
    """Whether a cloud's metadata service may be there."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    if mapped is not None:
        found = mapped
    return found.is_link_local or str(found) in METADATA
