"""The near side: one process, asked over pipes, ended when it passes its bounds and started again when it is missed."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from agent.contract.template import TemplateError
from reconciler.adapters.renderer.bounds import DEFAULT, Bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.ports import Render

START_SECONDS = 30.0
GRACE_SECONDS = 0.5
"""Seconds past its time in which the process may still say itself where it was."""
_READ_AT_ONCE = 1 << 16
_ESCAPED = 12
"""Bytes at most of a character as JSON has it."""
_AROUND = 1 << 16
"""Bytes at most of an answer besides the text."""


class _Gone(Exception):
    """The process cannot be started, or ended without an answer."""


class _Late(Exception):
    """Nothing came in time, or more than an answer has."""


class BoundedRenderer:
    """Renders in a process of its own, which lives on for the next plan. Threads that ask are served one at a time."""

    def __init__(self, bounds: Bounds = DEFAULT) -> None:
        self._bounds = bounds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def for_plan(self) -> Render:
        return _Allowance(self, self._bounds.plan_seconds)

    def close(self) -> None:
        """End the process; who asks after this starts another."""
        with self._lock:
            self._end()

    def answer(self, source: str, context: Mapping[str, Any]) -> dict[str, Any]:
        """What the process answers: `text`, or `error` and `line`, with `passed` where a bound was passed."""
        request = json.dumps({"source": source, "context": context}).encode() + b"\n"
        with self._lock:
            answer = self._asked(request)
            if "passed" in answer:
                self._end()
        return answer

    def _asked(self, request: bytes) -> dict[str, Any]:
        idle = self._process is not None
        try:
            try:
                return self._ask(request)
            except _Gone:
                if not idle:
                    raise
                return self._ask(request)  # it may have ended long before this template
        except _Gone as error:
            return _passed(f"the process that renders it has ended ({error})")
        except _Late:
            return _passed(f"it takes more than {self._bounds.seconds:g} s")

    def _ask(self, request: bytes) -> dict[str, Any]:
        """Raises `_Gone` and `_Late`; the process is ended then."""
        try:
            process = self._process or self._start()
            assert process.stdin is not None
            process.stdin.write(request)
            process.stdin.flush()
            line = _line(process, self._bounds.seconds + GRACE_SECONDS, self._bounds.output * _ESCAPED + _AROUND)
        except OSError as error:
            self._end()
            raise _Gone(error.strerror) from error
        except (_Gone, _Late):
            self._end()
            raise
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-B", "-P", "-m", "reconciler.adapters.renderer.process", json.dumps(self._bounds)]
        self._process = process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd="/",
        )
        _line(process, START_SECONDS, _AROUND)
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


class _Allowance:
    """What one plan renders with: so much time in all, and no second try for what passed its bounds."""

    def __init__(self, renderer: BoundedRenderer, seconds: float) -> None:
        self._renderer, self._seconds, self._left = renderer, seconds, seconds
        self._passed: dict[str, dict[str, Any]] = {}

    def __call__(self, source: str, context: Mapping[str, Any], /) -> str:
        answer = self._passed.get(source) or self._answer(source, context)
        if "error" in answer:
            raise TemplateError(answer["error"], answer["line"])
        return str(answer["text"])

    def _answer(self, source: str, context: Mapping[str, Any]) -> dict[str, Any]:
        if self._left <= 0:
            return _passed(f"the templates of this plan took {self._seconds:g} s before it, which is all they have")
        began = time.monotonic()
        answer = self._renderer.answer(source, context)
        self._left -= time.monotonic() - began
        if "passed" in answer:
            self._passed[source] = answer
        return answer


def _passed(error: str) -> dict[str, Any]:
    return {"error": error, "line": 0, "passed": True}


def _line(process: subprocess.Popen[bytes], seconds: float, most: int) -> bytes:
    """A line that the process writes. Raises `_Gone` where it ends instead, `_Late` past `seconds` or `most` bytes."""
    assert process.stdout is not None
    data, until = bytearray(), time.monotonic() + seconds
    readable = select.poll()  # unlike select(), also where a server has thousands of connections open
    readable.register(process.stdout, select.POLLIN)
    while not data.endswith(b"\n"):
        if len(data) > most or not readable.poll(max(0.0, until - time.monotonic()) * 1000):
            raise _Late
        came = os.read(process.stdout.fileno(), _READ_AT_ONCE)
        if not came:
            raise _Gone(f"exit {process.wait(START_SECONDS)}")
        data += came
    return bytes(data)
