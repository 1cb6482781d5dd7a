"""The far side: reads a request a line, answers a line, within bounds that it sets on itself first.

A request is `{"source", "context"}`; an answer is `{"text"}`, or `{"error", "line"}` with `"passed": true` where a
bound was passed.
"""

from __future__ import annotations

import functools
import json
import resource
import signal
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from agent.contract.template import Template, TemplateError, line_of
from reconciler.adapters.renderer.bounds import Bounds

if TYPE_CHECKING:
    from types import FrameType

TEMPLATES_KEPT = 16
"""A plan renders a document's templates for one context after the other."""
ALONE_SECONDS = 1.0
"""Seconds of processor time past the bound after which the kernel ends the process, whether or not anybody waits."""


class _OutOfTime(BaseException):
    """Not an `Exception`: Jinja2 takes those as a sign that a constant has to wait for its context."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def main(requests: IO[str], answers: IO[str], bounds: Bounds) -> None:
    """Answer requests until there are no more."""
    Template("{{ 1 }}").render({})  # what rendering imports is imported while files can be opened
    _confine(bounds.memory)
    answers.write("ready\n")
    answers.flush()
    for request in requests:
        answers.write(json.dumps(_answer(json.loads(request), bounds)) + "\n")
        answers.flush()


def _confine(memory: int) -> None:
    with suppress(ValueError):  # macOS has no such limit
        _limit(resource.RLIMIT_AS, memory)
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        _limit(kind, 0)
    signal.signal(signal.SIGALRM, _out_of_time)


def _limit(kind: int, value: int) -> None:
    """No higher than whoever started it allows."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _answer(request: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
    try:
        text = _within(bounds.seconds, request["source"], request["context"])
        size = len(text.encode())
    except TemplateError as error:
        return {"error": str(error), "line": error.line}
    except _OutOfTime as error:
        return _passed(f"it takes more than {bounds.seconds:g} s", error.line)
    except MemoryError as error:
        return _passed(f"it takes more than {bounds.memory >> 20} MiB of memory", line_of(error))
    return {"text": text} if size <= bounds.output else _passed(f"it comes to {size} bytes, at most {bounds.output}", 0)


def _passed(error: str, line: int) -> dict[str, Any]:
    return {"error": error, "line": line, "passed": True}


def _within(seconds: float, source: str, context: dict[str, Any]) -> str:
    """Raises `TemplateError`, and `_OutOfTime` between two steps of Python; the kernel ends what takes none."""
    signal.setitimer(signal.ITIMER_PROF, seconds + ALONE_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return _template(source).render(context)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


@functools.lru_cache(maxsize=TEMPLATES_KEPT)
def _template(source: str) -> Template:
    return Template(source)


def _out_of_time(_signal: int, frame: FrameType | None) -> None:
    """Say at which line of the template, by what Jinja2 leaves with the code that it makes."""
    while frame is not None:
        made_of = frame.f_globals.get("__jinja_template__")
        if made_of is not None:
            raise _OutOfTime(made_of.get_corresponding_lineno(frame.f_lineno))
        frame = frame.f_back
    raise _OutOfTime(0)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout, Bounds(*json.loads(sys.argv[1])))
