"""The ground a fleet stands on: its number, and everything of the host's that has to be given back.

That is a record file `fleets/N.json` with a lock that its owner holds while alive, a memory file system `fleets/N/`
for the nodes' disks, a cgroup2 mount within it, the cgroup `opsctl-fleet-N` and the bridge `opsctlN`. Razing needs
nothing but the number and the directory, so anyone can raze what a dead owner left.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.fleet.cgroup import Cgroup
from tests.fleet.commands import FleetError
from tests.fleet.locks import try_lock
from tests.fleet.mounts import mount, mounted_under, unmount_under
from tests.fleet.network import Network

NUMBERS = range(254)


@dataclass(frozen=True, slots=True)
class Ground:
    """The places and names that follow from a number; `fleets` is the directory of all records."""

    fleets: Path
    number: int

    @property
    def network(self) -> Network:
        return Network(self.number)

    @property
    def directory(self) -> Path:
        return self.fleets / str(self.number)

    @property
    def hierarchy(self) -> Path:
        """The root of all control groups."""
        return self.directory / "cgroup"

    @property
    def cgroup(self) -> Cgroup:
        return Cgroup(self.hierarchy / f"opsctl-fleet-{self.number}")

    @property
    def record(self) -> Path:
        return self.fleets / f"{self.number}.json"

    def recorded(self) -> dict[str, Any]:
        """What the owner wrote down; empty if nothing."""
        try:
            text = self.record.read_text()
        except FileNotFoundError:
            return {}
        content: dict[str, Any] = json.loads(text) if text else {}
        return content


class Tenure:
    """A ground whose lock this process holds, until `release` or `raze`."""

    def __init__(self, ground: Ground, lock: IO[str]) -> None:
        self.ground = ground
        self._lock = lock

    @classmethod
    def claim(cls, fleets: Path) -> Tenure:
        """The first free number of this host, made ready for nodes."""
        fleets.mkdir(parents=True, exist_ok=True)
        for number in NUMBERS:
            tenure = cls.reopen(Ground(fleets, number))
            if tenure is None:
                continue
            if not tenure.ground.recorded() and tenure.ground.network.up(alias=str(tenure.ground.record)):
                tenure._furnish()
                return tenure
            tenure.release()
        raise FleetError(f"all {len(NUMBERS)} fleet numbers are taken; `python -m tests.fleet sweep` frees dead ones")

    @classmethod
    def reopen(cls, ground: Ground) -> Tenure | None:
        """Take over what its owner let go of, by `release` or by dying; None while it is held."""
        lock = try_lock(ground.record)
        return cls(ground, lock) if lock else None

    def write(self, content: dict[str, Any]) -> None:
        """Write down what someone needs who finds this ground without its owner."""
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(json.dumps(content) if content else "")
        self._lock.flush()

    def release(self) -> None:
        """Let go. A ground with nothing written down is forgotten; another one stays as it is."""
        if not self._lock.closed:
            if not self.ground.recorded():
                self.ground.record.unlink(missing_ok=True)
            self._lock.close()

    def raze(self) -> None:
        """Give everything back to the host. May be repeated, and finishes what an interrupted one began."""
        if self._lock.closed:
            return
        ground = self.ground
        if not mounted_under(ground.hierarchy):
            mount("cgroup2", ground.hierarchy)
        ground.cgroup.remove()
        ground.network.down()
        unmount_under(ground.directory)
        for directory in (ground.hierarchy, ground.directory):
            if directory.exists():
                directory.rmdir()
        self.write({})
        self.release()

    def _furnish(self) -> None:
        self.write({"owner": os.getpid()})
        try:
            mount("tmpfs", self.ground.directory, "-o", "mode=755")
            mount("cgroup2", self.ground.hierarchy)
            self.ground.cgroup.make()
        except FleetError:
            self.raze()
            raise
