"""The bus without agents: it remembers who was woken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class MemoryBus:
    """`Bus` for running the reconciler by itself. `woken` lists each wake's nodes, in order."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, ...]] = []

    def wake(self, node_ids: Iterable[str]) -> None:
        self.woken.append(tuple(node_ids))
