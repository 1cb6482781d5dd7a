"""`aws:runCommand`: a document on nodes, whose end is the answer, as SSM words it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.controller.automation.beginning import listed_targets
from reconciler.controller.automation.work import Order
from reconciler.controller.document_orders import BROUGHT, OF_THE_REPOSITORY
from reconciler.core import commands, rate
from reconciler.core.executions import Answer
from reconciler.core.problem import Finding, Invalid, Place
from reconciler.core.select import Target
from reconciler.documents.runbook import references

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.controller.automation.runbooks import Runbooks
    from reconciler.controller.automation.work import Work
    from reconciler.controller.document_orders import DocumentOrders
    from reconciler.controller.shelf import Shelf
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.executions import Ending


class RunCommand:
    """A row of the table of work that nodes do.

    A runbook that was brought along needs the rights of content for what takes programs: nobody reviewed those.
    """

    def __init__(self, shelf: Shelf, orders: DocumentOrders, runbooks: Runbooks) -> None:
        self._shelf, self._orders, self._runbooks = shelf, orders, runbooks

    def order(self, work: Work) -> Order:
        """The command that the step's inputs ask for. Raises as `DocumentOrders.order` does."""
        inputs = work.inputs
        document = self._shelf.named(str(inputs["DocumentName"]).rpartition("/")[2])
        reviewed = self._runbooks.is_reviewed(work.source_digest) or self._shelf.is_reviewed(document)
        effect, files = self._orders.order(
            work.subject,
            OF_THE_REPOSITORY if reviewed else BROUGHT,
            document,
            parameters_of(inputs.get("Parameters") or {}),
            targets_of(inputs),
            max_concurrency=_rate(inputs, "MaxConcurrency", commands.DEFAULT_CONCURRENCY),
            max_errors=_rate(inputs, "MaxErrors", commands.DEFAULT_ERRORS),
            delivery_timeout=int(inputs.get("TimeoutSeconds") or commands.DELIVERY_TIMEOUT),
            comment=str(inputs.get("Comment") or f"step {work.step} of {work.execution}")[:100],
            reviewed=reviewed,
        )
        return Order(effect, files)

    def answer(self, row: CommandRow, invocations: Sequence[InvocationRow]) -> Answer:
        """What became of it. As in SSM there is an output where one node ran it, and a code where it had one step."""
        outputs: dict[str, Any] = {"CommandId": row.id, "Status": row.status}
        if len(invocations) == 1:
            said = json.loads(invocations[0].report)
            outputs["Output"] = said.get("output", "")
            if len(said.get("steps", ())) == 1:
                outputs["ResponseCode"] = said["steps"][0].get("rc", 0)
        status = _ENDINGS.get(row.status, "Failed")
        return Answer(status, outputs, "" if status == "Success" else _reason(row, invocations))


_ENDINGS: dict[str, Ending] = {"Success": "Success", "TimedOut": "TimedOut", "Cancelled": "Cancelled"}


def targets_of(inputs: Mapping[str, Any]) -> tuple[Target, ...]:
    """The nodes of a step that names `InstanceIds` or `Targets`. Raises `Invalid` where it names none."""
    listed = inputs.get("InstanceIds") or ()
    if listed:
        return (Target("InstanceIds", tuple(map(str, listed if isinstance(listed, list) else [listed]))),)
    targets = listed_targets(inputs.get("Targets") or ())
    if not targets:
        raise Invalid((Finding("the step names no nodes", Place("InstanceIds"), "`InstanceIds` or `Targets`"),))
    return targets


def parameters_of(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Values for a document's parameters, as texts."""
    return {
        name: [references.written(item) for item in (value if isinstance(value, list) else [value])]
        for name, value in given.items()
    }


def _rate(inputs: Mapping[str, Any], name: str, default: str) -> str:
    value = str(inputs.get(name) or default)
    try:
        rate.errors(value, 1)
    except ValueError:
        raise Invalid((Finding(f"`{name}` is `{value}`", Place(name), "a number or a percentage"),)) from None
    return value


def _reason(row: CommandRow, invocations: Sequence[InvocationRow]) -> str:
    """Why the command did not succeed: the first node that says so."""
    failed = [one for one in invocations if one.status != "Success"]
    first = failed[0] if failed else None
    said = f": {first.node_name}: {first.reason or first.details}" if first is not None else ""
    return f"command {row.id} ended as {row.details} on {len(failed)} of {len(invocations)} nodes{said}"
