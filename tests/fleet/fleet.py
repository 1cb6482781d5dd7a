"""A fleet: nodes on one bridge, made together and gone together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fleet import packages as repositories
from tests.fleet import pythons
from tests.fleet import rootfs as root_file_systems
from tests.fleet.commands import FleetError
from tests.fleet.ground import Ground, Tenure
from tests.fleet.host import possible
from tests.fleet.node import Node, NodeSpec
from tests.fleet.rootfs import CACHE, DEFAULT_SUITE, Rootfs


class Fleet:
    """Nodes by name. As a context manager it leaves nothing behind; a parent that dies leaves it to `sweep`.

    Several fleets live beside each other: each has a number, which its bridge, addresses and cgroup are named after.
    """

    def __init__(self, directory: Path = CACHE) -> None:
        reason = possible()
        if reason:
            raise FleetError(reason)
        self._directory = directory
        self._tenure = Tenure.claim(directory / "fleets")
        self.nodes: dict[str, Node] = {}

    @property
    def number(self) -> int:
        return self._tenure.ground.number

    @property
    def host_address(self) -> str:
        """Where a daemon on this host listens for the nodes; they know it as `control`."""
        return self._tenure.ground.network.host_address

    def up(self, name: str, suite: str = DEFAULT_SUITE, packages: Sequence[str] = ()) -> Node:
        """A new node, switched on; returns at once, so that several boot side by side: `wait_booted` waits.

        `packages` are what the node can install with apt, with all that they depend on.
        """
        if name in self.nodes:
            raise FleetError(f"fleet {self.number} has a node {name} already")
        rootfs = root_file_systems.ensure(suite, self._directory)
        repository = repositories.ensure(rootfs, packages) if packages else None
        index = max((node.spec.index for node in self.nodes.values()), default=0) + 1
        self.nodes[name] = Node(NodeSpec(name, index, rootfs, repository, pythons.asked_for()), self._tenure.ground)
        return self.nodes[name].start()

    def wait_booted(self, timeout: float = 60) -> None:
        """Wait until every node that has power has booted."""
        for node in self.nodes.values():
            if node.is_on():
                node.wait_booted(timeout)

    def down(self, name: str) -> None:
        """Remove one node and its disk."""
        self.nodes.pop(name).remove()

    def keep(self) -> None:
        """Let go of the fleet and leave it running: no sweep takes it, `close_kept` ends it."""
        self._tenure.write({"kept": True, "nodes": [_record(node.spec) for node in self.nodes.values()]})
        self._tenure.release()

    def close(self) -> None:
        """Remove all nodes and give back to the host what the fleet took; again is no error, nor after `keep`."""
        self._tenure.raze()
        self.nodes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def kept_nodes(directory: Path = CACHE) -> dict[int, list[Node]]:
    """The nodes of the fleets that were left running on purpose, by the fleet's number."""
    fleets = directory / "fleets"
    grounds = [Ground(fleets, number) for number in sorted(int(record.stem) for record in fleets.glob("*.json"))]
    return {
        ground.number: [Node(_spec(node), ground) for node in content["nodes"]]
        for ground in grounds
        if (content := ground.recorded()).get("kept")
    }


def close_kept(number: int, directory: Path = CACHE) -> None:
    """Remove a fleet that was left running on purpose; FleetError where there is none of that number."""
    if number not in kept_nodes(directory):
        raise FleetError(f"no fleet {number} was kept in {directory}")
    tenure = Tenure.reopen(Ground(directory / "fleets", number))
    if tenure is None:
        raise FleetError(f"fleet {number} is being removed already")
    tenure.raze()


def _record(spec: NodeSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "index": spec.index,
        "suite": spec.rootfs.suite,
        "rootfs": str(spec.rootfs.directory),
        "repository": str(spec.repository) if spec.repository else None,
        "python": str(spec.python) if spec.python else None,
    }


def _spec(recorded: dict[str, Any]) -> NodeSpec:
    rootfs = Rootfs(recorded["suite"], Path(recorded["rootfs"]))
    repository = Path(recorded["repository"]) if recorded["repository"] else None
    python = Path(recorded["python"]) if recorded.get("python") else None
    return NodeSpec(recorded["name"], recorded["index"], rootfs, repository, python)
