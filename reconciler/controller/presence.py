"""Who is really there: a node that is connected and has not looked at itself for long is `Inactive`, not online."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.core import nodeset

if TYPE_CHECKING:
    from reconciler.controller.state import NodeLife, State
    from reconciler.core.ports import Clock

INTERVALS = 3
"""Intervals without a finished look after which a node's runner is taken for stuck."""
SHORTEST = 600
"""Seconds that a look may take in any case: scripts and package managers are slow."""
LOOK_EVERY = 5.0
"""Seconds between two looks at everybody."""


class Presence:
    """Runs on the loop."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state, self._clock = state, clock
        self._next_look = 0.0

    def settle(self) -> None:
        """Take nodes out of those online, or back in, as their looks say."""
        if self._clock.elapsed() < self._next_look:
            return
        self._next_look = self._clock.elapsed() + LOOK_EVERY
        state, before = self._state, self._clock.now_ms() - max(INTERVALS * self._state.interval, SHORTEST) * 1000
        bits = state.world.nodes.bits
        lives = [(bits[node_id], life) for node_id, life in state.lives.items() if _is_here(life) and node_id in bits]
        idle = state.world.nodes.everyone & ~state.world.holding
        stale = nodeset.of(bit for bit, life in lives if _looked(life) < before) & ~idle
        online = nodeset.of(bit for bit, _ in lives) & ~stale
        if online != state.world.online:
            state.world = replace(state.world, online=online)
            state.dirty = state.dirty or state.waits


def _is_here(life: NodeLife) -> bool:
    return life.connected or life.reached


def _looked(life: NodeLife) -> int:
    """When everything on the node had been looked at, by the server's clock; at the latest when it connected."""
    return max(life.looked_at, life.connected_at)
