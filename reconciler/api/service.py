"""What the faces ask of the controller. Blocking; called from any thread; values are JSON as it stands.

Each call has a subject, and the service decides whether it may: `Refused` where not. It raises the classes of
`core.problem` and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agent.contract.session import Ticket
    from agent.contract.wire import Signed
    from reconciler.api.requests import Run, SessionBody, Start
    from reconciler.core.access import Subject
    from reconciler.core.commands import Left

Signal: TypeAlias = Literal["Approve", "Reject", "StartStep", "StopStep", "Resume"]


class Commands(Protocol):
    """Documents run on nodes, once: what people may ask for."""

    def run(self, subject: Subject, asked: Run) -> dict[str, Any]:
        """Run a document on nodes now; the command's progress, with its id under `command`."""

    def list(self, subject: Subject, limit: int) -> list[dict[str, Any]]:
        """Commands that the subject may see, newest first, without their invocations."""

    def show(self, subject: Subject, command_id: str) -> dict[str, Any]:
        """A command and its invocations; `finished` says whether it will change again."""

    def cancel(self, subject: Subject, command_id: str) -> dict[str, Any]:
        """Ask for its end; its progress."""

    def retry(self, subject: Subject, command_id: str, which: Collection[Left]) -> dict[str, Any]:
        """Run the same again on those nodes of a command where it did not succeed; the new command's progress."""

    def output(
        self, subject: Subject, command_id: str, job_id: str, step: str, stream: str, offset: int
    ) -> dict[str, Any]:
        """Part of what a step says, from `offset` on: base64 under `data`, and `next`, the offset after it."""


class Automations(Protocol):
    """Executions of Automation documents: what people may ask for."""

    def start(self, subject: Subject, asked: Start) -> dict[str, Any]:
        """Start an execution; how it stands, with its id under `execution`."""

    def list(self, subject: Subject, limit: int, parent: str | None = None) -> list[dict[str, Any]]:
        """Executions, newest first; with `parent` those that this one started (empty: those that none did)."""

    def show(self, subject: Subject, execution: str) -> dict[str, Any]:
        """An execution with its timeline; `finished` says whether it will change again."""

    def signal(self, subject: Subject, execution: str, signal: Signal, comment: str) -> dict[str, Any]:
        """Answer it: approve, reject, let a step begin or end, let it go on; how it stands then."""

    def stop(self, subject: Subject, execution: str, reason: str) -> dict[str, Any]:
        """Ask for its end; a second time, nothing more is run for it."""


class Sessions(Protocol):
    """Shells and connections on nodes."""

    def start(self, subject: Subject, asked: SessionBody) -> dict[str, Any]:
        """A ticket, under `ticket`, and the session's id."""

    def list(self, subject: Subject) -> list[dict[str, Any]]:
        """What is open, oldest first."""

    def terminate(self, subject: Subject, session_id: str) -> dict[str, Any]:
        """End a session now."""

    def admit(self, subject: Subject, signed: Signed, *, again: bool) -> Ticket:
        """The ticket, where it may be used here and now."""

    def is_over(self, ticket_id: str) -> bool:
        """Whether a session was ended. Does not block."""

    def left(self, ticket: Ticket, up: int, down: int, *, over: bool) -> None:
        """A channel was disconnected after so many bytes each way; `over`: so is the session."""


class Parameters(Protocol):
    """Parameters in force: SSM's words for each, what is encrypted opened only where that is asked for and granted."""

    def one(self, subject: Subject, name: str, *, decrypt: bool) -> dict[str, Any]:
        """One version of a parameter, by `name`, `name:version` or `name:label`."""

    def below(self, subject: Subject, path: str, *, recursive: bool, decrypt: bool) -> list[dict[str, Any]]:
        """Those below a level of the hierarchy that the subject may read."""

    def history(self, subject: Subject, name: str, *, decrypt: bool) -> list[dict[str, Any]]:
        """Every version of a parameter, oldest first."""


class Service(Protocol):
    """The controller, as a person or a program sees it."""

    @property
    def commands(self) -> Commands:
        """Documents run on nodes, once."""

    @property
    def automations(self) -> Automations:
        """Executions of Automation documents."""

    @property
    def parameters(self) -> Parameters:
        """Parameter Store."""

    @property
    def sessions(self) -> Sessions:
        """Sessions on nodes."""

    def operator_of(self, key: str, /) -> str | None:
        """The name of the operator whose SSH public key this is (`ssh-ed25519 AAAA...`); None for anyone else's."""

    def status(self, subject: Subject) -> dict[str, Any]:
        """Where the fleet stands: revision in force, what holds back a newer one, totals."""

    def plan(self, subject: Subject, rev: str | None, base: str | None) -> dict[str, Any]:
        """What `rev` (None: the tracked head) would change; compared with what nodes hold, or with `base`."""

    def apply(
        self, subject: Subject, rev: str | None, saved: dict[str, Any] | None, allow_removals: int
    ) -> dict[str, Any]:
        """Bring `rev` into force, bound to a saved plan where one is given; progress, with its id under `apply`."""

    def apply_status(self, subject: Subject, apply_id: str) -> dict[str, Any]:
        """Progress of an apply; `finished` says whether it will change again."""

    def sync(self, subject: Subject) -> dict[str, Any]:
        """Fetch now; the status after it."""

    def nodes(self, subject: Subject) -> list[dict[str, Any]]:
        """The nodes that the subject may read."""

    def node(self, subject: Subject, name: str) -> dict[str, Any]:
        """One node, by name or id, with what it was given and says."""

    def inventory(self, subject: Subject, name: str) -> list[dict[str, Any]]:
        """What a node collected about itself, by type, without the contents."""

    def inventory_type(self, subject: Subject, name: str, type_name: str) -> dict[str, Any]:
        """One type of it, with its content."""

    def retire(self, subject: Subject, name: str) -> dict[str, Any]:
        """Empty a node for good."""

    def create_token(
        self, subject: Subject, node: str | None, labels: Mapping[str, str], ttl_seconds: int
    ) -> dict[str, Any]:
        """A join token, shown once, under `token`."""

    def explain(self, subject: Subject, node: str, claim: str | None) -> dict[str, Any]:
        """Why a node is as it is."""

    def conditions(self, subject: Subject) -> list[dict[str, Any]]:
        """What is not as its author meant it, resource by resource."""

    def audit(self, subject: Subject, limit: int) -> list[dict[str, Any]]:
        """Who did what, newest first."""
