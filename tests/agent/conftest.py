"""Fixtures of the agent's tests: a server, a node enrolled with it, and the rounds of one without a link."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.enrolment import enroll
from agent.host.memory import MemoryHost
from agent.host.memory import Node as Place
from tests.agent.converging import Node, shell
from tests.agent.gateway import Gateway
from tests.agent.rig import Rig

if sys.version_info >= (3, 11):  # nodes are made by Pythons newer than the agent's oldest
    from tests.fleet.fixtures import module_node_factory, node_factory, node_rootfs

    __all__ = ["module_node_factory", "node_factory", "node_rootfs"]

_OF_THE_WHOLE_PROJECT = (
    *("test_*_on_nodes.py", "test_installed_node.py", "test_upgrade.py", "link/test_websocket_servers.py"),
    *("*/test_*_on_nodes.py", "steps/test_real_*.py"),
)
"""What needs nodes, or libraries that have left the agent's oldest Python behind."""
collect_ignore_glob = [] if sys.version_info >= (3, 11) else list(_OF_THE_WHOLE_PROJECT)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path) as running:
        yield running


@pytest.fixture
def enrolled(gateway: Gateway, tmp_path: Path) -> str:
    """The state directory of a node that the gateway knows."""
    state = str(tmp_path / "enrolled")
    enroll(state, gateway.token(), hostname="web-1")
    return state


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


@pytest.fixture
def host() -> MemoryHost:
    """A sandbox in memory."""
    return MemoryHost(sandbox=True, nodes={"/": Place("directory"), "/etc": Place("directory")}, shell=shell)


@pytest.fixture
def node(host: MemoryHost, tmp_path: Path) -> Iterator[Node]:
    made = Node(host, tmp_path / "state")
    yield made
    made.close()
