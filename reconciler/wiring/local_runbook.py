"""An Automation document executed on this machine, without a server: to try what needs neither nodes nor people.

Scripts are called here, within their bounds; what would reach nodes, other services or people fails, saying so.
"""

from __future__ import annotations

import base64
import getpass
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, NoReturn

from agent.contract.canonical import canonical, digest
from agent.contract.codec import to_wire
from agent.contract.inputs import ACTIONS
from agent.contract.wire import Body, BodyStep, FileRef
from reconciler.capabilities.changes import automation
from reconciler.capabilities.changes.automation import Answered, AskApproval, ChildEnded, Perform, StartChild
from reconciler.controller.automation import execute_script, views
from reconciler.core.effect import Wake
from reconciler.core.executions import Answer, ExecutionRow
from reconciler.core.problem import Refused
from reconciler.documents import document as documents
from reconciler.documents.runbook import Runbook, references
from reconciler.wiring.local_run import in_child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from reconciler.capabilities.changes.automation import Effect, Event
    from reconciler.wiring.local_run import Said

NEEDS_SERVER = "it is not done with --local: it needs a server"


def run(
    data: bytes, path: str, given: Mapping[str, Sequence[str]], repo: Path | None, said: Said
) -> dict[str, Any] | None:
    """Execute the runbook of a file; how it went, as `opsctl automation show` has it. None for another document.

    `repo` is the config repository that has its attachments. Raises `Invalid` for what is wrong with the document or
    its parameters, `Refused` where it waits for a person.
    """
    document = documents.load(data, path)
    if not isinstance(document.content, Runbook):
        return None
    return _Execution(document.name, document.content, repo, said).to_its_end(given)


class _Execution:
    """One execution, from its first event to its last."""

    def __init__(self, name: str, runbook: Runbook, repo: Path | None, said: Said) -> None:
        self._name, self._runbook, self._repo, self._said = name, runbook, repo, said
        self._id, self._state = str(uuid.uuid4()), automation.State()
        self._events: list[Event] = []

    def to_its_end(self, given: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        subject, at = getpass.getuser(), _now()
        begun = automation.start(self._runbook, given, fleet_id="local", execution=self._id, subject=subject, at=at)
        incoming: list[Event] = [begun]
        while not self._state.ended:
            advance = automation.advance(self._runbook, self._state, max(at, _now()), *incoming)
            self._state, self._events = advance.state, [*self._events, *advance.events]
            incoming = [event for effect in advance.effects if (event := self._done(effect)) is not None]
            if not (incoming or advance.more or self._state.ended):
                self._wait()
        ended = self._state.ended
        row = ExecutionRow(
            self._id, self._name, "", subject, at, status=ended.status, reason=ended.reason, finished_at=_now()
        )
        return views.whole(row, self._runbook, self._events, ())

    def _done(self, effect: Effect) -> Event | None:
        """What comes of an effect, done at once."""
        if isinstance(effect, Perform):
            answer = self._answer(effect)
            return Answered(_now(), effect.id, answer.status, answer.outputs, answer.reason)
        if isinstance(effect, StartChild):
            return ChildEnded(_now(), effect.execution, "Failed", reason=f"Unsupported: {NEEDS_SERVER}")
        if isinstance(effect, AskApproval):
            _needs_people(effect.step)
        return None

    def _wait(self) -> None:
        """Let the time pass until something changes by itself."""
        wake = min((one.at for one in automation.awaited(self._state) if isinstance(one, Wake)), default=None)
        running = self._state.running
        if wake is None or (running is not None and running.begun.action == "aws:pause"):
            _needs_people(running.begun.step if running is not None else "it")
        time.sleep(max(0.0, (wake - _now()) / 1000))

    def _answer(self, effect: Perform) -> Answer:
        if effect.action != execute_script.ACTION:
            return Answer("Failed", reason=f"Unsupported: {NEEDS_SERVER}")
        seconds = execute_script.LONGEST
        if effect.deadline is not None:
            seconds = min(seconds, max(1, (effect.deadline - _now()) // 1000))
        files: dict[str, bytes] = {}
        attached = self._attached(effect.inputs.get("Attachment"), files)
        typed = execute_script.inputs_of(effect.inputs, self._id, seconds, attached)
        step = BodyStep(effect.step, effect.action, ACTIONS[effect.action].version, to_wire(typed))
        refs = {name: FileRef(digest(content), len(content)) for name, content in files.items()}
        body = Body(f"Command/{self._name}", self._name, [step], files=refs)
        by_digest = {digest(content): base64.b64encode(content).decode() for content in files.values()}
        asked = {"body": json.loads(canonical(to_wire(body))), "files": by_digest}
        report = in_child(asked, self._said_of(effect.step), lambda _: [])
        said: Mapping[str, Any] = next(iter(report.get("steps", ())), {})
        return execute_script.answer_of(said, report["status"], said.get("reason") or report.get("reason") or "")

    def _said_of(self, step: str) -> Said:
        """What a script prints; its standard output is the value that it returns."""
        return lambda _, stream, data: self._said(step, stream, data) if stream == "stderr" else None

    def _attached(self, name: Any, files: dict[str, bytes]) -> str | None:
        if not name:
            return None
        for path in execute_script.places(self._name, references.written(name)):
            file = self._repo / path if self._repo is not None else None
            if file is not None and file.is_file():
                files[path] = file.read_bytes()
                return path
        raise Refused(f"there is no attachment {name}", "document", "name the repository that has it: --repo DIR")


def _needs_people(step: str) -> NoReturn:
    raise Refused(f"`{step}` waits for a person, and there is nobody to answer with --local", "automation")


def _now() -> int:
    return int(time.time() * 1000)
