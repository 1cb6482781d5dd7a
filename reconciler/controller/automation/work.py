"""Work that steps of executions have done for them: what it is, and the two ways in which it is done.

Each action is either a call that blocks on a thread of its own, or an order to nodes whose end becomes the answer. Both
may be asked for again under the same id after a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from reconciler.core.executions import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.core.access import Subject
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.effect import Dispatch
    from reconciler.core.ports import Outside


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work. `id` stays the same however often it is asked for; `subject` is who the execution acts for.

    `inputs` are the step's, with values in place of references. `document` is the runbook's name, `source_digest` the
    body that has its text. Instants are Unix milliseconds.
    """

    id: str
    execution: str
    step: str
    action: str
    inputs: Mapping[str, Any]
    begun: int
    deadline: int | None
    subject: Subject
    document: str
    source_digest: str


@dataclass(frozen=True, slots=True)
class Order:
    """What nodes are to do: a command, and the bytes that its body names, by digest."""

    effect: Dispatch
    files: Mapping[str, bytes] = field(default_factory=dict)


Blocking: TypeAlias = Callable[[Work], Answer]
"""Does it and says how it went. A `Problem` fails the step; for `Waiting` it is asked again until the step is out of
time."""


class OnNodes(Protocol):
    """Has nodes do it. A `Problem` fails the step; for `Waiting` it is asked again until the step is out of time."""

    def order(self, work: Work) -> Order:
        """The command that does it. Called on a thread of the pool."""

    def answer(self, row: CommandRow, invocations: Sequence[InvocationRow]) -> Answer:
        """What the end of that command comes to. Called on the loop."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who does what, by action. An action that stands in neither is not supported here."""

    blocking: Mapping[str, Blocking] = field(default_factory=dict)
    on_nodes: Mapping[str, OnNodes] = field(default_factory=dict)


def outside(port: Outside) -> Blocking:
    """A port as a handler."""
    return lambda work: port.perform(work.id, work.action, work.inputs, work.deadline)
