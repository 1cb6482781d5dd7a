"""Documents that jobs find on their nodes: compiled here, for the job that has a step which runs them and no other.

What such a document says was reviewed by nobody; who may have it run is decided where the command is asked for
(`documents/programs`).
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from agent.contract.canonical import digest_of
from agent.contract.codec import to_wire
from agent.contract.job import Compiled
from reconciler.core.problem import Invalid
from reconciler.core.records import AuditRow, Changes
from reconciler.documents.found import steps_of
from reconciler.documents.steps import asked_of_agents
from reconciler.engine import commands as engine
from reconciler.engine.sources import Sources, Workings

if TYPE_CHECKING:
    from agent.contract.job import Compile
    from agent.contract.wire import BodyStep
    from reconciler.controller.commands import CommandDesk
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.loop import Loop
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.commands import CommandRow
    from reconciler.core.ports import Clock, Source, Store

AT_MOST = 100
"""Documents that one job may find."""
JOBS_REMEMBERED = 1000
_TOLD = 900
"""Characters of what is wrong with a document, as a step's reason has room for."""


class FoundDocuments:
    """May be asked from any thread."""

    def __init__(
        self,
        state: State,
        loop: Loop,
        keeper: Keeper,
        store: Store,
        source: Source,
        clock: Clock,
        desk: CommandDesk,
        shelf: Shelf,
    ) -> None:
        self._state, self._loop, self._keeper, self._store = state, loop, keeper, store
        self._source, self._clock, self._desk, self._shelf = source, clock, desk, shelf
        self._counting = threading.Lock()
        self._asked: OrderedDict[str, set[str]] = OrderedDict()

    def compiled(self, node_id: str, question: Compile) -> Compiled:
        """The answer to a node's question. `Refused` for a job that is not at work there."""
        row, one = self._desk.at_work(node_id, question.job_id)
        name = digest_of(to_wire(question))
        problem, steps = self._why_not(row, question, name), []
        if not problem:
            try:
                steps = self._steps(question, row.document)
            except Invalid as invalid:
                problem = "; ".join(map(str, invalid.findings))[:_TOLD]
        outcome = "refused" if problem else "compiled"
        detail = f"{question.path:.300} ({name[:19]}) on {one.node_name}, step {question.step:.140}"
        audit = AuditRow(self._clock.now_ms(), row.subject, "compile", row.document, outcome, row.id, detail)
        self._loop.call(lambda: self._keeper.commit(Changes(at=audit.at, audit=(audit,))))
        envelope = engine.answer_envelope(row, one, self._state.world, audit.at, asked_of_agents(steps))
        return Compiled(envelope, name, steps, problem)

    def _why_not(self, row: CommandRow, question: Compile, name: str) -> str:
        """Why a job is told nothing of a document; empty where it is."""
        body = json.loads(self._store.body(row.body_digest) or b"{}")
        if not any(_runs(step, question.step) for step in body.get("steps", ())):
            return "the job has no step that runs a document of the node"
        with self._counting:
            asked = self._asked.setdefault(question.job_id, set())
            self._asked.move_to_end(question.job_id)
            asked.add(name)
            if len(self._asked) > JOBS_REMEMBERED:
                self._asked.popitem(last=False)
            return f"the job found more than {AT_MOST} documents" if len(asked) > AT_MOST else ""

    def _steps(self, question: Compile, outer: str) -> list[BodyStep]:
        catalog = self._shelf.catalog()
        files = Sources(self._source, self._source.tree(catalog.commit), Workings())
        return steps_of(question, outer, files, catalog.stored(self._source), self._clock.now_ms())


def _runs(step: dict[str, object], name: str) -> bool:
    """Whether a step of a body may ask what a document means, by itself or for a document that it found."""
    inputs = step["inputs"]
    local = isinstance(inputs, dict) and inputs.get("documentType") == "LocalPath"
    return local and (name == step["name"] or name.startswith(f"{step['name']}:"))
