"""Work that cannot be done yet: asked for again after a while, until its time is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.controller.automation.work import Work
    from reconciler.core.problem import Waiting

AGAIN_MS = 2000
"""After so many milliseconds somebody looks again."""


_ASKED = 1 << 62
"""The instant of what is being asked for: never, until there is an answer."""


class Waited(NamedTuple):
    """A piece of work, and what it waited for when it was last asked for."""

    work: Work
    why: Waiting


class Waits:
    """Runs on the loop, but for `of`. Instants are Unix milliseconds."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Waited, int]] = {}

    def put(self, work: Work, why: Waiting, now: int) -> None:
        """Have it wait."""
        self._waiting[work.id] = (Waited(work, why), now + AGAIN_MS)

    def drop(self, work_id: str) -> None:
        """Nobody wants it any longer."""
        self._waiting.pop(work_id, None)

    def due(self, now: int) -> Iterator[Waited]:
        """What is to be asked for again, or is out of time. It waits until it is put back or dropped."""
        for work_id, (waited, at) in list(self._waiting.items()):
            if now >= at or out_of_time(waited.work, now):
                self._waiting[work_id] = (waited, _ASKED)
                yield waited

    def of(self, execution: str) -> str:
        """What an execution waits for, in words; empty for nothing. On any thread."""
        found = (waited for waited, _ in list(self._waiting.values()) if waited.work.execution == execution)
        return next((waited.why.what for waited in found), "")


def out_of_time(work: Work, now: int) -> bool:
    """Whether nobody waits for it any longer."""
    return work.deadline is not None and now >= work.deadline
