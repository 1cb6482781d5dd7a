"""The agent as its own steps ask it: what concerns all of it, and not the machine."""

from __future__ import annotations

from typing import Sequence

from agent.contract.inventory import Inventory
from agent.state.node import Node


class ThisAgent:
    """Of one enrolled node. May be called from any thread."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collected(self, found: Sequence[Inventory]) -> None:
        self._node.inventory.collected(found)
