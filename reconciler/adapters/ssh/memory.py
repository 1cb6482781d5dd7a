"""The visitor without SSH: hosts are functions of the test's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from reconciler.core.problem import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.node_ports import Guest, SshHost


class MemoryVisitor:
    """`Visitor` to machines in memory: `machines[HOST]` is called with what the visit brings. `visits` lists all."""

    def __init__(self) -> None:
        self.machines: dict[str, Callable[[SshHost, Guest], str]] = {}
        self.visits: list[SshHost] = []
        self._lock = threading.Lock()

    def visit(self, host: SshHost, guest: Guest) -> str:
        with self._lock:
            self.visits.append(host)
        machine = self.machines.get(host.host)
        if machine is None:
            raise Unavailable(f"{host.user}@{host.host}:{host.port}", "no address of that name")
        return machine(host, guest)

    def close(self) -> None:
        """No visit lasts."""
