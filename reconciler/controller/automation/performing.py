"""Work of steps, given to who does it, until it is answered or nobody waits for it any longer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from reconciler.capabilities.changes.automation import Answered
from reconciler.controller.automation.waits import Waits, out_of_time
from reconciler.core.effect import Cancel, Cause, job_id
from reconciler.core.executions import Answer
from reconciler.core.jsontext import json_of
from reconciler.core.problem import Problem, Refused, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.controller.automation.errands import Errands
    from reconciler.controller.automation.work import Handlers, OnNodes, Order, Work
    from reconciler.controller.commands import CommandDesk
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.ports import Clock, Store

log = logging.getLogger(__name__)
ANSWER_LIMIT = 256 * 1024
"""Bytes of an answer as JSON: it is kept with the execution, and later steps read it."""


class Performing:
    """Runs on the loop. `on_answer` gets the execution and the event."""

    def __init__(self, handlers: Handlers, errands: Errands, commands: CommandDesk, store: Store, clock: Clock) -> None:
        self._handlers, self._errands, self._commands = handlers, errands, commands
        self._store, self._clock = store, clock
        self._ordered: dict[str, Work] = {}
        self._waits = Waits()
        self.on_answer: Callable[[str, Answered], None] = lambda _execution, _event: None
        commands.on_end = self._over

    def give(self, work: Work) -> None:
        """Have it done; what is being done already goes on."""
        if work.action in self._handlers.blocking:
            call = self._handlers.blocking[work.action]
            self._errands.run(work.id, lambda: call(work), lambda found: self._answer(work, found))
        elif work.action in self._handlers.on_nodes:
            self._order(work, self._handlers.on_nodes[work.action])
        else:
            self._answer(work, Answer("Failed", reason=f"Unsupported: `{work.action}` is not done by this system"))

    def settle(self) -> None:
        """Ask again for what had to wait, or say what it waited for until its time was over."""
        now = self._clock.now_ms()
        for work, why in self._waits.due(now):
            if out_of_time(work, now):
                self._answer(work, Answer("TimedOut", reason=str(why)))
            else:
                self.give(work)

    def waits_for(self, execution: str) -> str:
        """What work of an execution waits for, in words. On any thread."""
        return self._waits.of(execution)

    def abandon(self, work_id: str) -> None:
        """Stop it as far as that can be."""
        self._errands.drop(work_id)
        self._waits.drop(work_id)
        for command_id, work in list(self._ordered.items()):
            if work.id == work_id:
                del self._ordered[command_id]
                self._cancel(command_id, work)

    def _order(self, work: Work, handler: OnNodes) -> None:
        command_id = command_of(work)
        if command_id in self._ordered:
            return
        known = self._store.command(command_id)
        if known is not None:
            self._await(work, known)
        else:
            self._errands.run(work.id, lambda: handler.order(work), lambda found: self._dispatch(work, found))

    def _dispatch(self, work: Work, found: Order | Problem) -> None:
        if isinstance(found, Problem):
            self._answer(work, found)
            return
        cause = Cause(work.id, work.begun, work.subject.name, f"step {work.step} of {work.execution}")
        try:
            row = self._commands.dispatch(found.effect, cause, found.files, command_of(work))
        except Refused as problem:
            self._answer(work, problem)
        else:
            self._await(work, row)

    def _await(self, work: Work, row: CommandRow) -> None:
        self._ordered[row.id] = work
        if row.final:
            self._over(row, self._commands.invocations(row.id))

    def _over(self, row: CommandRow, invocations: Sequence[InvocationRow]) -> None:
        work = self._ordered.pop(row.id, None)
        if work is not None:
            self._answer(work, self._answered(work, row, invocations))

    def _answered(self, work: Work, row: CommandRow, invocations: Sequence[InvocationRow]) -> Answer | Problem:
        try:
            return self._handlers.on_nodes[work.action].answer(row, invocations)
        except Problem as problem:
            return problem

    def _cancel(self, command_id: str, work: Work) -> None:
        cause = Cause(work.id, self._clock.now_ms(), work.subject.name, f"step {work.step} of {work.execution}")
        try:
            self._commands.cancel(Cancel(command_id), cause)
        except Refused as problem:
            log.info("%s", problem)  # it is over

    def _answer(self, work: Work, found: Answer | Problem) -> None:
        if isinstance(found, Waiting):
            self._waits.put(work, found, self._clock.now_ms())
            return
        self._waits.drop(work.id)
        answer = Answer("Failed", reason=str(found)) if isinstance(found, Problem) else found
        if len(json_of(answer.outputs)) > ANSWER_LIMIT:
            answer = Answer("Failed", reason=f"the answer is larger than {ANSWER_LIMIT // 1024} KiB")
        at = self._clock.now_ms()
        self.on_answer(work.execution, Answered(at, work.id, answer.status, answer.outputs, answer.reason))


def command_of(work: Work) -> str:
    """The id of the command that does this work."""
    return job_id(work.begun, work.id)
