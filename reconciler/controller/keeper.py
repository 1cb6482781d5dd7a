"""World and the store, moved together: the store first, and World once the store has it.

Whether a commit that failed is on disk nobody knows. World is then read from the store again before anything else is
decided, and until that works every change is turned away: nothing is acknowledged, nothing is given out.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from reconciler.core.pauses import pause
from reconciler.core.ports import ONE_LEADER
from reconciler.core.problem import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.controller.state import State
    from reconciler.core.ports import Clock
    from reconciler.core.problem import Problem
    from reconciler.core.records import Changes
    from reconciler.core.world import World
    from reconciler.execute import Executor

log = logging.getLogger(__name__)
PAUSES = (0.5, 1, 2, 5, 10, 30)
"""Seconds before the store is asked again, by failures in a row."""


class Keeper:
    """Runs on the loop. `read` makes World from the store anew, every node at the bit it has in the one given.

    `on_lost` is called once, when another daemon has taken the store's lease: from then on this one may do nothing.
    """

    def __init__(
        self,
        state: State,
        executor: Executor,
        clock: Clock,
        read: Callable[[World], World],
        on_lost: Callable[[Problem], None],
    ) -> None:
        self._state, self._executor, self._clock = state, executor, clock
        self._read, self._on_lost = read, on_lost
        self._doubtful = self._lost = False
        self._failures = 0
        self._again_at = 0.0
        self._why = ""

    def commit(self, changes: Changes, world: World | None = None, touched: Iterable[str] = ()) -> None:
        """One transaction; then World is `world` (where given), and the nodes touched are woken.

        Raises `Unavailable` where the store is, or World is in doubt, which `world` was made from; and what the store
        refuses.
        """
        if self._doubtful:
            self.make_sure()
            raise Unavailable("the store", "what is known was only now read from it anew", PAUSES[0])
        try:
            self._executor.commit(changes, touched)
        except Refused as problem:
            self.refused(problem)
            raise
        except BaseException as error:
            self._doubt(error)
            raise
        self._failures = 0
        if world is not None:
            self._state.world = world

    def wake(self, touched: Iterable[str]) -> None:
        """Wake nodes of which nothing changed that the store keeps."""
        self._executor.wake(touched)

    def make_sure(self) -> None:
        """See to it that World is what the store has. Raises `Unavailable` where that cannot be known now."""
        if not self._doubtful:
            return
        now = self._clock.elapsed()
        if now < self._again_at:
            raise Unavailable("the store", self._why, self._again_at - now)
        try:
            world = self._read(self._state.world)
        except BaseException as error:
            self._doubt(error)
            raise
        log.warning("the store answers again: what is known was read from it anew")
        self._state.world = world
        self._state.plan = self._state.gated = None
        self._state.news |= {(node_id, "") for node_id in world.nodes.bits}
        self._state.dirty = self._state.hurry = True
        self._state.note("store")
        self._doubtful = False
        self._executor.wake(world.nodes.ids(world.online))  # what was kept after all, nobody was told of

    def refused(self, problem: Refused) -> None:
        """Stop for good where the store says that another daemon leads."""
        if problem.rule == ONE_LEADER and not self._lost:
            self._lost = True
            self._state.note("store", str(problem))
            self._on_lost(problem)

    def _doubt(self, error: BaseException) -> None:
        self._again_at = self._clock.elapsed() + pause(PAUSES, self._failures)
        self._doubtful, self._failures = True, self._failures + 1
        self._why = error.why if isinstance(error, Unavailable) else str(error) or repr(error)
        if self._state.note("store", str(error) or repr(error)):
            log.error("a change was not kept: %s", self._why)
