"""`aws:executeScript`: a function that is called on a node labelled as runner, and what it returns.

Never in this process, and on no other node: who labels one says that runbooks' scripts may run there, as nobody in
particular (see the agent's action of that name).
"""

from __future__ import annotations

import json
import posixpath
import threading
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import canonical
from agent.contract.codec import to_wire
from agent.contract.inputs import ACTIONS
from agent.contract.inputs.scripts import ExecuteScriptInputs
from agent.contract.wire import Body, BodyStep
from reconciler.controller.automation.beginning import AUTOMATION
from reconciler.controller.automation.work import Order
from reconciler.core.effect import Dispatch
from reconciler.core.executions import Answer
from reconciler.core.problem import Refused, Waiting
from reconciler.documents.runbook import Runbook, references
from reconciler.engine.sources import Sources, Workings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.controller.automation.runbooks import Runbooks
    from reconciler.controller.automation.work import Work
    from reconciler.controller.document_orders import DocumentOrders
    from reconciler.controller.permissions import Permissions
    from reconciler.controller.shelf import Shelf
    from reconciler.controller.state import State
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.executions import Ending
    from reconciler.core.nodes import NodeEntry
    from reconciler.core.ports import Source
    from reconciler.documents.compile import SourceFile

ACTION = "aws:executeScript"
RUNNER = ("opsctl/runner", "true")
"""The label of nodes that scripts of runbooks run on."""
LONGEST = 600
"""Seconds, as in SSM."""
ATTACHMENTS = "attachments"
"""The folder of the repository that has what runbooks bring with them."""


class ExecuteScript:
    """A row of the table of work that nodes do."""

    def __init__(
        self,
        state: State,
        runbooks: Runbooks,
        source: Source,
        permissions: Permissions,
        shelf: Shelf,
        orders: DocumentOrders,
    ) -> None:
        self._state, self._runbooks, self._source = state, runbooks, source
        self._permissions, self._shelf, self._orders = permissions, shelf, orders
        self._turns, self._choosing = _Turns(), threading.Lock()

    def order(self, work: Work) -> Order:
        """The call, for one runner. Raises `Waiting` where none is here, `Refused` for an attachment that is not."""
        self._orders.require_thaw()
        files: dict[str, SourceFile] = {}
        typed = self._inputs(work, files)
        runner = self._runner(work)
        body = Body(
            uid=f"Command/{work.document}",
            document=work.document,
            steps=[BodyStep(work.step, ACTION, ACTIONS[ACTION].version, to_wire(typed))],
            files={path: file.ref for path, file in files.items()},
        )
        effect = Dispatch(
            document=work.document,
            nodes=self._state.world.nodes.named(runner.id),
            body=canonical(to_wire(body)),
            targets=runner.name,
            max_concurrency="1",
            max_errors="0",
            delivery_timeout=typed.timeout_seconds,
            comment=f"step {work.step} of {work.execution}",
            reviewed=False,
        )
        blobs = self._source.blobs({file.blob for file in files.values()})
        return Order(effect, {file.ref.digest: blobs[file.blob] for file in files.values()})

    def answer(self, row: CommandRow, invocations: Sequence[InvocationRow]) -> Answer:
        """What the function returned, as `Payload`."""
        (one,) = invocations
        step: Mapping[str, Any] = next(iter(json.loads(one.report).get("steps", ())), {})
        return answer_of(step, row.status, f"on {one.node_name}: {step.get('reason') or one.reason or row.details}")

    def _inputs(self, work: Work, files: dict[str, SourceFile]) -> ExecuteScriptInputs:
        seconds = LONGEST if work.deadline is None else max(1, (work.deadline - work.begun) // 1000)
        path = None
        if work.inputs.get("Attachment"):
            path, file = self._attached(work, references.written(work.inputs["Attachment"]))
            files[path] = file
        return inputs_of(work.inputs, work.execution, min(seconds, LONGEST), path)

    def _attached(self, work: Work, name: str) -> tuple[str, SourceFile]:
        """A file that the runbook brings with it: its path in the repository, and what is there."""
        catalog = self._shelf.catalog()
        sources = Sources(self._source, self._source.tree(catalog.commit), Workings())
        tried = places(work.document, name)
        found = next(((path, file) for path in tried if (file := sources.source(path)) is not None), None)
        if found is None:
            raise Refused(f"there is no attachment {name}", "document", f"put it at {tried[0]} in the repository")
        runbook = self._runbooks.of(work.source_digest)
        declared = runbook.files.get(name) if isinstance(runbook, Runbook) else None
        wanted = declared.checksums.get("sha256", "") if declared else ""
        if wanted and found[1].ref.digest != f"sha256:{wanted.lower()}":
            raise Refused(f"{found[0]} is not the file that {work.document} was written with", "checksums.sha256")
        return found

    def _runner(self, work: Work) -> NodeEntry:
        world = self._state.world
        reach = self._permissions.reach(work.subject, "start", AUTOMATION, world.nodes)
        label, value = RUNNER
        entries = [entry for entry in world.nodes.entries if entry is not None and entry.labels.get(label) == value]
        within = [entry for entry in entries if world.nodes.named(entry.id) & reach]
        online = [entry for entry in within if world.nodes.named(entry.id) & world.online]
        if not online:
            raise Waiting(_nobody(work, entries, within))
        with self._choosing:
            return self._turns.next(online)


def places(document: str, name: str) -> tuple[str, str]:
    """Where in the repository a file may be that a document brings with it."""
    return posixpath.join(ATTACHMENTS, document, name), posixpath.join(ATTACHMENTS, name)


def inputs_of(given: Mapping[str, Any], execution: str, seconds: int, attachment: str | None) -> ExecuteScriptInputs:
    """What the agent's action is given for a step's inputs. `attachment` is the path of the file that they name."""
    return ExecuteScriptInputs(
        runtime=references.written(given["Runtime"]),
        script=references.written(given["Script"]) if given.get("Script") is not None else None,
        attachment=attachment,
        handler=references.written(given["Handler"]) if given.get("Handler") else None,
        input_payload=json.dumps(given.get("InputPayload") or {}),
        execution_id=execution,
        timeout_seconds=seconds,
    )


def answer_of(step: Mapping[str, Any], status: str, reason: str) -> Answer:
    """What the agent's report on the step comes to."""
    if status == "Success" and step.get("payload") is not None:
        return Answer(outputs={"Payload": json.loads(step["payload"])})
    return Answer(_ENDINGS.get(status, "Failed"), reason=reason)


class _Turns:
    """Who is next: whoever waited longest, then the first by name."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._count = 0

    def next(self, entries: Iterable[NodeEntry]) -> NodeEntry:
        chosen = min(entries, key=lambda entry: (self._last.get(entry.id, 0), entry.name))
        self._count += 1
        self._last[chosen.id] = self._count
        return chosen


_ENDINGS: dict[str, Ending] = {"TimedOut": "TimedOut", "Cancelled": "Cancelled"}


def _nobody(work: Work, labelled: Sequence[NodeEntry], within: Sequence[NodeEntry]) -> str:
    """What there has to be for a script to run."""
    label, value = RUNNER
    if not labelled:
        return f'a runner: no enrolled node has the label `{label}: "{value}"`; give it to one in its file in nodes/'
    if not within:
        return f"a runner within the reach of {work.subject.name}: a Role has to let it `start` on one"
    names = ", ".join(sorted(entry.name for entry in within)[:5])
    return f"a runner that is online: {names} {'is' if len(within) == 1 else 'are'} not"
