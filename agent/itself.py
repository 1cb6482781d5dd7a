"""The agent as its own steps ask it: what concerns all of it, and not the machine."""

from __future__ import annotations

import os
import sys
from typing import Callable, List, Optional, Sequence

from agent.contract.inventory import Inventory
from agent.state.node import Node
from agent.steps.step import StepFailed

Refresh = Callable[[Sequence[str]], List[str]]


class ThisAgent:
    """Of one enrolled node. May be called from any thread.

    `refresh` has associations run; None where steps of associations ask, which would go round and round. `visited`: it
    is started over SSH, and installed nowhere.
    """

    def __init__(self, node: Node, state: str, *, visited: bool, refresh: Optional[Refresh] = None) -> None:
        self._node, self._state, self._visited, self._refresh = node, state, visited, refresh

    def collected(self, found: Sequence[Inventory]) -> None:
        self._node.inventory.collected(found)

    def refreshed(self, names: Sequence[str]) -> List[str]:
        if self._refresh is None:
            raise StepFailed("an association cannot refresh associations; run a document that does")
        return self._refresh(names)

    def upgrade_command(self) -> List[str]:
        from agent.install import SYSTEM, of_user
        from agent.upgrade import UpgradeRefused, installation

        if self._visited:
            return []
        layout = SYSTEM if os.geteuid() == 0 else of_user()
        try:
            here = installation(layout, self._state)
        except UpgradeRefused as error:
            raise StepFailed("Unsupported: needs an installed agent: %s" % error) from error
        how = ["--non-root"] if layout.of_user else []
        current = os.path.join(here.home, "current")
        return [sys.executable, "-I", "-S", current, "upgrade", "--state", self._state, *how]
