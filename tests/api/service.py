"""The service in memory: it answers with what it was asked, and lets `alice` do anything and `bob` only read."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.contract.session import Ticket
    from agent.contract.wire import Signed
    from reconciler.api.requests import Run, SessionBody, Start
    from reconciler.api.service import Signal
    from reconciler.core.access import Subject
    from reconciler.core.commands import Left


@dataclass
class MemoryCommands:
    """`Commands` of a `MemoryService`: each call is one of the service's."""

    service: MemoryService

    def run(self, subject: Subject, asked: Run) -> dict[str, Any]:
        return self.service.called(subject, "run", "run", asked)

    def list(self, subject: Subject, limit: int) -> list[dict[str, Any]]:
        return [self.service.called(subject, "read", "commands", limit)]

    def show(self, subject: Subject, command_id: str) -> dict[str, Any]:
        self.service.called(subject, "read", "command", command_id)
        return self.service.progress

    def cancel(self, subject: Subject, command_id: str) -> dict[str, Any]:
        return self.service.called(subject, "cancel", "cancel", command_id)

    def retry(self, subject: Subject, command_id: str, which: Collection[Left]) -> dict[str, Any]:
        return self.service.called(subject, "run", "retry", command_id, sorted(which))

    def output(
        self, subject: Subject, command_id: str, job_id: str, step: str, stream: str, offset: int
    ) -> dict[str, Any]:
        self.service.called(subject, "read", "output", command_id, job_id, step, stream, offset)
        return {"data": "aGVsbG8=", "next": offset + 5}


@dataclass
class MemorySessions:
    """`Sessions` of a `MemoryService`: each call is one of the service's."""

    service: MemoryService

    def start(self, subject: Subject, asked: SessionBody) -> dict[str, Any]:
        return self.service.called(subject, "session", "start", asked)

    def list(self, subject: Subject) -> list[dict[str, Any]]:
        return [self.service.called(subject, "read", "sessions")]

    def terminate(self, subject: Subject, session_id: str) -> dict[str, Any]:
        return self.service.called(subject, "terminate", "terminate", session_id)

    def admit(self, subject: Subject, signed: Signed, *, again: bool) -> Ticket:
        raise Refused("there are no sessions in memory")

    def is_over(self, ticket_id: str) -> bool:
        return True

    def left(self, ticket: Ticket, up: int, down: int, *, over: bool) -> None:
        """Nothing is open."""


@dataclass
class MemoryParameters:
    """`Parameters` of a `MemoryService`: each call is one of the service's."""

    service: MemoryService

    def one(self, subject: Subject, name: str, *, decrypt: bool) -> dict[str, Any]:
        return self.service.called(subject, "read", "parameter", name, decrypt)

    def below(self, subject: Subject, path: str, *, recursive: bool, decrypt: bool) -> list[dict[str, Any]]:
        return [self.service.called(subject, "read", "parameters", path, recursive, decrypt)]

    def history(self, subject: Subject, name: str, *, decrypt: bool) -> list[dict[str, Any]]:
        return [self.service.called(subject, "read", "history", name, decrypt)]


@dataclass
class MemoryAutomations:
    """`Automations` of a `MemoryService`: each call is one of the service's."""

    service: MemoryService

    def start(self, subject: Subject, asked: Start) -> dict[str, Any]:
        return self.service.called(subject, "start", "automation", asked)

    def list(self, subject: Subject, limit: int, parent: str | None = None) -> list[dict[str, Any]]:
        return [self.service.called(subject, "read", "automations", limit, parent)]

    def show(self, subject: Subject, execution: str) -> dict[str, Any]:
        self.service.called(subject, "read", "automation", execution)
        return self.service.progress

    def signal(self, subject: Subject, execution: str, signal: Signal, comment: str) -> dict[str, Any]:
        return self.service.called(subject, "signal", "automation", execution, signal, comment)

    def stop(self, subject: Subject, execution: str, reason: str) -> dict[str, Any]:
        return self.service.called(subject, "stop", "automation", execution, reason)


@dataclass
class MemoryService:
    """`Service` without a controller. `fail` is raised by every call while it is set; `progress` is any apply's."""

    operators: dict[str, str] = field(default_factory=dict)
    commands: MemoryCommands = field(init=False)
    automations: MemoryAutomations = field(init=False)
    parameters: MemoryParameters = field(init=False)
    sessions: MemorySessions = field(init=False)
    calls: list[tuple[str, str, tuple[Any, ...]]] = field(default_factory=list)
    fail: Exception | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released at each look at an apply."""

    def __post_init__(self) -> None:
        self.commands = MemoryCommands(self)
        self.automations = MemoryAutomations(self)
        self.parameters = MemoryParameters(self)
        self.sessions = MemorySessions(self)

    def operator_of(self, key: str, /) -> str | None:
        return self.operators.get(key)

    def status(self, subject: Subject) -> dict[str, Any]:
        return self.called(subject, "read", "status")

    def plan(self, subject: Subject, rev: str | None, base: str | None) -> dict[str, Any]:
        return self.called(subject, "plan", "plan", rev, base)

    def apply(
        self, subject: Subject, rev: str | None, saved: dict[str, Any] | None, allow_removals: int
    ) -> dict[str, Any]:
        return self.called(subject, "apply", "apply", rev, saved, allow_removals)

    def apply_status(self, subject: Subject, apply_id: str) -> dict[str, Any]:
        self.called(subject, "read", "apply_status", apply_id)
        self.asked.release()
        return dict(self.progress, apply=apply_id)

    def sync(self, subject: Subject) -> dict[str, Any]:
        return self.called(subject, "apply", "sync")

    def nodes(self, subject: Subject) -> list[dict[str, Any]]:
        return [self.called(subject, "read", "nodes")]

    def node(self, subject: Subject, name: str) -> dict[str, Any]:
        return self.called(subject, "read", "node", name)

    def inventory(self, subject: Subject, name: str) -> list[dict[str, Any]]:
        return [self.called(subject, "read", "inventory", name)]

    def inventory_type(self, subject: Subject, name: str, type_name: str) -> dict[str, Any]:
        return self.called(subject, "read", "inventory_type", name, type_name)

    def retire(self, subject: Subject, name: str) -> dict[str, Any]:
        return self.called(subject, "retire", "retire", name)

    def create_token(
        self, subject: Subject, node: str | None, labels: Mapping[str, str], ttl_seconds: int
    ) -> dict[str, Any]:
        return self.called(subject, "enroll", "create_token", node, dict(labels), ttl_seconds)

    def explain(self, subject: Subject, node: str, claim: str | None) -> dict[str, Any]:
        return self.called(subject, "explain", "explain", node, claim)

    def conditions(self, subject: Subject) -> list[dict[str, Any]]:
        return [self.called(subject, "read", "conditions")]

    def audit(self, subject: Subject, limit: int) -> list[dict[str, Any]]:
        return [self.called(subject, "read", "audit", limit)]

    def called(self, subject: Subject, verb: str, name: str, *arguments: Any) -> dict[str, Any]:
        if self.fail:
            raise self.fail
        if not (subject.everything or subject.name == "alice" or verb == "read"):
            raise Refused(f"{subject.name} may not {verb}", "access")
        self.calls.append((subject.name, name, arguments))
        return {"subject": subject.name, "called": name, "arguments": list(arguments)}
