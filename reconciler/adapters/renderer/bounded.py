"""The renderer's near side: one child process, asked over pipes, replaced when it does not answer in time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from agent.contract.template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 2.0
"""Time for one template, starting the process not counted."""

START_SECONDS = 30.0


class BoundedRenderer:
    """Renders as `agent.contract.template.render` does. Raises `TemplateError` also for what passes the bounds."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, source: str, context: Mapping[str, Any]) -> str:
        request = json.dumps({"source": source, "context": dict(context)}).encode() + b"\n"
        with self._lock:
            answer = self._asked(request)
        if "error" in answer:
            raise TemplateError(str(answer["error"]), int(answer.get("line", 0)))
        return str(answer["text"])

    def close(self) -> None:
        """End the process; the next call starts another."""
        with self._lock:
            self._end()

    def _asked(self, request: bytes) -> dict[str, Any]:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(self._seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            self._end()
            return {"error": f"it does not render within {self._seconds:g} s and the memory given to it"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "reconciler.adapters.renderer.process"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/"
        )
        assert process.stdout is not None
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        process.stdout.readline()  # the process says when it is ready
        timer.cancel()
        self._process = process
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
