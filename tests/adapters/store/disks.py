"""Where stores keep things, so that one can be opened again: a file, a dictionary, or the database of an URL.

OPSCTL_TEST_STORE_URL adds one more database to the contract suite; each disk is a fleet of its own in it.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Protocol

from reconciler.adapters.store import MemoryState, MemoryStore, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.core.ports import Store

FLEET = "fleet-1"
BORN = 1_700_000_000_000
EXTRA_URL = os.environ.get("OPSCTL_TEST_STORE_URL", "")
DISKS = ["sqlite", "memory", *(["url"] if EXTRA_URL else [])]


class Disk(Protocol):
    def open(self, fleet: str = FLEET, at: int = BORN) -> Store:
        """Another store object on the same disk."""


class MemoryDisk:
    def __init__(self) -> None:
        self._state = MemoryState()

    def open(self, fleet: str = FLEET, at: int = BORN) -> Store:
        return MemoryStore(fleet, at, self._state)


class SqlDisk:
    def __init__(self, url: str, prefix: str = "") -> None:
        self._url, self._prefix = url, prefix

    def open(self, fleet: str = FLEET, at: int = BORN) -> Store:
        return open_store(self._url, self._prefix + fleet, at)


def disk(kind: str, directory: Path) -> Disk:
    if kind == "memory":
        return MemoryDisk()
    if kind == "url":
        return SqlDisk(EXTRA_URL, secrets.token_hex(4))
    return SqlDisk(f"sqlite:///{directory}/state.db")
