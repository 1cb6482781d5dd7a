"""Commands as faces show them. What is over and whole is made once, for it is asked for again and again."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import instant
from agent.contract.job import OUTPUT_KEPT
from reconciler.engine import commands as engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.ports import OutputStore

VIEWS_REMEMBERED, SMALL = 10_000, 4096
"""How many are kept, of those of which this many characters were said at most."""


class CommandViews:
    """May be asked from any thread."""

    def __init__(self, outputs: OutputStore) -> None:
        self._outputs = outputs
        self._whole: OrderedDict[str, tuple[InvocationRow, dict[str, Any]]] = OrderedDict()
        self._remembering = threading.Lock()

    def view(self, row: CommandRow, invocations: Iterable[InvocationRow]) -> dict[str, Any]:
        """A command as faces show it, with these of its invocations."""
        listed = list(invocations)
        return {
            "command": row.id,
            "document": row.document,
            "subject": row.subject,
            "targets": row.targets,
            "check": row.check,
            "comment": row.comment,
            "reviewed": row.reviewed,
            "requestedAt": instant(row.requested_at),
            "finishedAt": instant(row.finished_at) if row.finished_at else None,
            "status": row.status,
            "statusDetails": row.details,
            "maxConcurrency": row.max_concurrency,
            "maxErrors": row.max_errors,
            "targetCount": row.target_count,
            "completedCount": sum(one.final for one in listed),
            "errorCount": engine.errors(listed),
            "deliveryTimedOutCount": sum(one.details == "DeliveryTimedOut" for one in listed),
            "cancelledBy": row.cancelled_by,
            "finished": row.final,
            "invocations": [self._invocation(one) for one in listed],
        }

    def _invocation(self, one: InvocationRow) -> dict[str, Any]:
        known = self._whole.get(one.job_id)
        if known is not None and known[0] == one:
            return known[1]
        said = json.loads(one.report)
        expected = _expected(said.get("steps", ()))
        quiet = one.reported and not expected
        sizes = self._outputs.sizes(one.job_id) if one.released_at and not quiet else {}
        view = self._view_of(one, said, sizes)
        if (
            one.reported
            and len(one.report) <= SMALL
            and all(sizes.get(key, 0) >= size for key, size in expected.items())
        ):
            with self._remembering:
                self._whole[one.job_id] = (one, view)
                while len(self._whole) > VIEWS_REMEMBERED:
                    self._whole.popitem(last=False)
        return view

    @staticmethod
    def _view_of(one: InvocationRow, said: Mapping[str, Any], sizes: Mapping[tuple[str, str], int]) -> dict[str, Any]:
        return {
            "node": one.node_name,
            "nodeId": one.node_id,
            "job": one.job_id,
            "status": one.status,
            "statusDetails": one.details,
            "reason": one.reason,
            "finishedAt": said.get("finishedAt"),
            "steps": said.get("steps", []),
            "claims": said.get("claims", []),
            "standardOutput": said.get("output", ""),
            "standardError": said.get("error", ""),
            "outputs": [
                {"step": step, "stream": stream, "bytes": size} for (step, stream), size in sorted(sizes.items())
            ],
        }


def _expected(steps: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """How many bytes the output store has once all that was said has come, by step and stream."""
    return {
        (step["name"], stream): min(size, OUTPUT_KEPT)
        for step in steps
        for stream, size in step.get("sizes", {}).items()
        if size
    }
