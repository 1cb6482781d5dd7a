"""Templates, rendered in a process of its own: Jinja2 takes as much memory as the agent, and is needed now and then.

The process answers one line of JSON with another, and ends when it is not needed for a while.
"""

from __future__ import annotations

import functools
import json
import os
import select
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Dict, Optional

import agent
from agent import log
from agent.contract.template import TemplateError, render
from agent.host.port import ENVIRONMENT

if TYPE_CHECKING:
    import subprocess

PATIENCE = 60.0
"""Seconds that one template may take."""
RENDERED_KEPT = 512
_READ_AT_ONCE = 1 << 16
_CHILD = """\
import sys
sys.path[:0] = sys.argv[1:]
from agent.steps.rendering import answer_questions
answer_questions(sys.stdin, sys.stdout)
"""


class _Gone(Exception):
    """The process cannot be started, or has ended."""


class Renderer:
    """For one thread. Texts are kept: a look at what has not changed renders nothing."""

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        self._process: "Optional[subprocess.Popen[bytes]]" = None
        self.render = functools.lru_cache(maxsize=RENDERED_KEPT)(self._render)

    def close(self) -> None:
        """End the process, if there is one; the next template starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _render(self, template: str, context: str) -> str:
        """A template over a context (JSON of labels, vars, facts, name). Raises `TemplateError`."""
        try:
            answer = self._ask({"template": template, "context": context})
        except TemplateError:
            raise
        except (OSError, ValueError, _Gone) as error:
            self.close()
            log.log(log.WARNING, "no process to render templates: %s; they are rendered in the agent's own", error)
            return rendered(template, context)
        if "text" in answer:
            return str(answer["text"])
        raise TemplateError(answer["message"], answer["line"])

    def _ask(self, question: Dict[str, str]) -> Dict[str, Any]:
        if self._process is None:
            self._process = self._started()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.flush()
        answer, until = b"", time.monotonic() + PATIENCE
        while not answer.endswith(b"\n"):
            if not select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                self.close()
                raise TemplateError("it is not rendered after %d seconds" % PATIENCE)
            data = os.read(process.stdout.fileno(), _READ_AT_ONCE)
            if not data:
                raise _Gone("it has ended")
            answer += data
        found: Dict[str, Any] = json.loads(answer)
        return found

    def _started(self) -> "subprocess.Popen[bytes]":
        import subprocess

        program = os.path.dirname(os.path.dirname(os.path.abspath(agent.__file__)))
        return subprocess.Popen(
            [self._python, "-I", "-c", _CHILD, program, os.path.join(program, "_vendor")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env=ENVIRONMENT,
        )


@functools.lru_cache(maxsize=RENDERED_KEPT)
def rendered(template: str, context: str) -> str:
    """The same in this process. Raises `TemplateError`."""
    return render(template, json.loads(context))


def answer_questions(questions: IO[str], answers: IO[str]) -> None:
    """What the process does until nobody asks any more."""
    for line in questions:
        question = json.loads(line)
        try:
            answer: Dict[str, Any] = {"text": rendered(question["template"], question["context"])}
        except TemplateError as error:
            answer = {"message": str(error), "line": error.line}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
