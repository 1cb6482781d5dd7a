"""Real nodes for those tests that want one. They are made by Pythons newer than the agent's oldest."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from tests.fleet.fixtures import module_node_factory, node_rootfs

    __all__ = ["module_node_factory", "node_rootfs"]
