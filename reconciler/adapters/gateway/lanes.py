"""Threads for the calls on `Intake`, which block: one bounded lane per purpose, so that none starves another."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class Lane:
    """A few threads. With `width` 1, calls are made in the order in which they were handed over."""

    def __init__(self, name: str, width: int) -> None:
        self._threads = ThreadPoolExecutor(width, f"gateway-{name}")

    def begin(self, call: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> asyncio.Future[_Result]:
        """Hand the call over now; await the result or not."""
        return asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def close(self) -> None:
        """Let calls under way end; forget those not begun."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class Lanes:
    """`presence`: who came, went, holds what, in order. `answers`: keys, sets, contents. `reports`: durable writes.

    `outputs`: what jobs say, on its way to the output store.
    """

    def __init__(self) -> None:
        self.presence = Lane("presence", 1)
        self.answers = Lane("answers", 4)
        self.reports = Lane("reports", 32)  # many wait together for one commit
        self.outputs = Lane("outputs", 8)

    def close(self) -> None:
        for lane in (self.presence, self.answers, self.reports, self.outputs):
            lane.close()
