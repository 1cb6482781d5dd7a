"""Control groups (version 2): what holds a node's processes together, freezes them, and kills them all at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fleet.commands import wait_for


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One group by its directory, children included."""

    directory: Path

    def child(self, name: str) -> Cgroup:
        return Cgroup(self.directory / name)

    def make(self) -> Cgroup:
        self.directory.mkdir(parents=True, exist_ok=True)
        return self

    def populated(self) -> bool:
        """Whether any process lives in it."""
        return "populated 1" in self._events()

    def processes(self) -> Iterator[int]:
        """Process ids in it, parents before children."""
        for directory in self._tree():
            try:
                yield from map(int, (directory / "cgroup.procs").read_text().split())
            except OSError as gone:
                if gone.errno not in (errno.ENOENT, errno.ENODEV):
                    raise

    def freeze(self, *, frozen: bool) -> None:
        """Stop every process where it stands, or let them go on; returns when it has happened."""
        (self.directory / "cgroup.freeze").write_text("1" if frozen else "0")
        wanted = f"frozen {int(frozen)}"
        wait_for(lambda: wanted in self._events(), f"{self.directory.name} to read {wanted!r}", 10)

    def kill(self) -> None:
        """Kill every process with no warning, as a power cut would, and wait until all are gone."""
        if self.directory.exists():
            (self.directory / "cgroup.kill").write_text("1")
            wait_for(lambda: not self.populated(), f"the processes of {self.directory.name} to end", 20)

    def remove(self) -> None:
        """Kill what lives in it and remove it."""
        self.kill()
        for directory in reversed(list(self._tree())):
            directory.rmdir()

    def _tree(self) -> Iterator[Path]:
        """Its directory and those below, parents first; passes over what vanishes meanwhile, as units do."""
        for directory, children, _ in os.walk(self.directory):
            children.sort()
            yield Path(directory)

    def _events(self) -> str:
        try:
            return (self.directory / "cgroup.events").read_text()
        except OSError as gone:
            if gone.errno not in (errno.ENOENT, errno.ENODEV):
                raise
            return ""
