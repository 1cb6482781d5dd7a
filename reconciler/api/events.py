"""Progress as server-sent events: one `progress` per change, until it is finished.

The server looks at the progress, so that a client behind a slow link is told of changes and not of every look.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from reconciler.api.answers import unforeseen
from reconciler.api.problems import TooMany, to_json
from reconciler.core.problem import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.responses import Response

    Look = Callable[[], dict[str, Any]]
    News = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]

LOOK_SECONDS = 0.2
SILENCE_SECONDS = 15.0
STREAMS = 64


class Events:
    """Follows applies for at most `STREAMS` clients at once; all end when `stopping` says so."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._open = 0

    async def follow(self, look: Look, news: News) -> Response:
        """A stream of what `look` (blocking) returns: first whole, then what is `news` of it, and whole at the end.

        Its first look may raise; later problems are events.
        """
        if self._open >= STREAMS:
            raise TooMany("this server", "too many are being followed", 5.0)
        first = await run_in_threadpool(look)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(look, news, first), 200, headers, "text/event-stream")

    async def _events(self, look: Look, news: News, progress: dict[str, Any]) -> AsyncIterator[str]:
        self._open += 1
        try:
            yield _event("progress", progress)
            silent = 0.0
            while not progress.get("finished") and not self._stopping():
                await asyncio.sleep(LOOK_SECONDS)
                newer = await run_in_threadpool(look)
                silent += LOOK_SECONDS
                if newer != progress:
                    told = newer if newer.get("finished") else news(progress, newer)
                    progress, silent = newer, 0.0
                    yield _event("progress", told)
                elif silent >= SILENCE_SECONDS:
                    silent = 0.0
                    yield ": still here\n\n"
        except Problem as problem:
            yield _event("problem", to_json(problem))
        except Exception:
            yield _event("problem", to_json(unforeseen("following it")))
        finally:
            self._open -= 1


def _event(name: str, value: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"
