"""A scene whose machines are real nodes of one fleet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.agent import program
from tests.e2e.scene import Scene
from tests.fleet import Fleet
from tests.stage import Machine, RealMachine


class SceneOnNodes(Scene):
    """The fleet is the caller's to make, and its nodes are to have booted before they join."""

    def __init__(self, directory: Path, files: Mapping[str, str] | None, fleet: Fleet, server: Any = None) -> None:
        super().__init__(directory, files, server, address=fleet.host_address)
        self.fleet = fleet

    def join(self, *names: str) -> None:
        for name in names:
            self.at(name).join(self.daemon.url, self.token(node=name), program.archive())
        self.wait("the nodes to connect", lambda: all(self.online(name) for name in names))

    def at(self, name: str) -> Machine:
        return RealMachine(self.fleet.nodes[name], name)

    def run(self, name: str, *command: str) -> str:
        """A command on a node; what it printed, whatever its exit code."""
        return self.fleet.nodes[name].run(list(command), check=False).stdout
