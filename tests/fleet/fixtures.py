"""pytest fixtures: real nodes per test or per module. Import those you use into a `conftest.py` (and mark `realnode`).

Where real nodes are impossible, what asks for one is skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.host import possible
from tests.fleet.leftovers import sweep
from tests.fleet.node import Node
from tests.fleet.rootfs import DEFAULT_SUITE, Rootfs, ensure


class NodeFactory:
    """Makes booted nodes of one fleet, which go when the fixture that made it ends."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def __call__(self, *names: str, suite: str = DEFAULT_SUITE, packages: Sequence[str] = ()) -> list[Node]:
        """Booted nodes of these names; `packages` are what their apt can install."""
        nodes = [self.fleet.up(name, suite, packages) for name in names]
        return [node.wait_booted() for node in nodes]


@pytest.fixture(scope="session")
def node_rootfs() -> Rootfs:
    """The default suite's root file system; built once, while other workers wait for it."""
    reason = possible()
    if reason:
        pytest.skip(reason)
    sweep()
    return ensure()


@pytest.fixture
def node_factory(node_rootfs: Rootfs) -> Iterator[NodeFactory]:
    """Fresh nodes for one test."""
    with Fleet() as fleet:
        yield NodeFactory(fleet)


@pytest.fixture(scope="module")
def module_node_factory(node_rootfs: Rootfs) -> Iterator[NodeFactory]:
    """Nodes that the tests of a module share."""
    with Fleet() as fleet:
        yield NodeFactory(fleet)
