"""Commands: who is given its job now, who waits no longer, what the whole has come to. Values in, values out.

As SSM counts: `maxConcurrency` nodes are at it at once; after more than `maxErrors` errors nobody else begins, and
those that are at it finish. Nodes that are offline stall nobody: they are given their job when they are here and there
is room, until the delivery timeout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.contract.canonical import canonical, digest, instant
from agent.contract.codec import to_wire
from agent.contract.job import Job, Revocation
from agent.contract.leave import Envelope
from agent.contract.wire import PROTOCOL, Body
from reconciler.core import nodeset, rate
from reconciler.core.commands import FINAL, LEFT, CommandRow, InvocationRow
from reconciler.core.effect import effect_id, job_id
from reconciler.documents.steps import asked_of_agents
from reconciler.engine.leave import GRACE, longest_run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from agent.contract.wire import Report
    from reconciler.core.commands import Left
    from reconciler.core.effect import Cause, Dispatch
    from reconciler.core.world import World
    from reconciler.documents.compile import Steps

ERRORS = frozenset({"Failed", "ExecutionTimedOut"})
"""Details that count against `maxErrors`."""


@dataclass(frozen=True, slots=True)
class Open:
    """A command that goes on, with its invocations by job."""

    row: CommandRow
    invocations: dict[str, InvocationRow]


def body_of(document: str, steps: Steps, *, check: bool) -> bytes:
    """The canonical JSON of what every node of a command is given."""
    body = Body(
        uid=f"Command/{document}",
        document=document,
        steps=list(steps.steps),
        mode="AuditOnly" if check else "ApplyAndAutoCorrect",
        files={path: file.ref for path, file in steps.files.items()},
        must_understand=asked_of_agents(steps.steps),
    )
    return canonical(to_wire(body))


def begun(effect: Dispatch, world: World, cause: Cause, ordinal: int = 0, known: str = "") -> Open:
    """A command and its invocations, nobody given anything yet. `known` is its id where the cause has given it one."""
    fleet_id = world.fleet_id
    known = known or job_id(cause.at, effect_id(fleet_id, f"Command/{effect.document}", 0, cause.id, ordinal))
    row = CommandRow(
        id=known,
        document=effect.document,
        body_digest=digest(effect.body),
        subject=cause.subject,
        requested_at=cause.at,
        targets=effect.targets,
        target_count=nodeset.size(effect.nodes),
        parameters=effect.parameters,
        max_concurrency=effect.max_concurrency,
        max_errors=effect.max_errors,
        delivery_timeout=effect.delivery_timeout,
        execution_timeout=longest_run(effect.body),
        check=effect.check,
        comment=effect.comment,
        reviewed=effect.reviewed,
    )
    invocations = {}
    for bit in nodeset.positions(effect.nodes):
        entry = world.nodes.entries[bit]
        if entry is not None:
            job = job_id(cause.at, effect_id(fleet_id, f"Command/{known}/{entry.id}", 0, cause.id, ordinal))
            invocations[job] = InvocationRow(known, entry.id, entry.name, job)
    return Open(row, invocations)


def settled(
    command: Open, at: int, online: Callable[[str], bool], able: Callable[[str], bool]
) -> tuple[CommandRow, list[InvocationRow]]:
    """The command as it is now, and those of its invocations that change.

    `online` says of a node that it can be reached, `able` of one that is online whether its agent takes jobs.
    """
    changed: dict[str, InvocationRow] = {}
    for invocation in command.invocations.values():
        now = _aged(command.row, invocation, at, online=online(invocation.node_id))
        if now != invocation:
            changed[now.job_id] = now
    current = {**command.invocations, **changed}
    for row in _released(command.row, current, at, online, able):
        current[row.job_id] = changed[row.job_id] = row
    status, details = overall(command.row, current.values())
    finished_at = (command.row.finished_at or at) if status in FINAL else 0
    return replace(command.row, status=status, details=details, finished_at=finished_at), list(changed.values())


def overall(row: CommandRow, invocations: Iterable[InvocationRow]) -> tuple[str, str]:
    """What a command has come to: status, and SSM's details."""
    listed = list(invocations)
    details = [one.details for one in listed]
    if any(not one.final for one in listed):
        if row.cancelled_by:
            return "Cancelling", "Cancelling"
        if all(word in ("Pending", "Delayed") for word in details):
            word = "Delayed" if set(details) == {"Delayed"} else "Pending"
            return "Pending" if word == "Pending" else "Delayed", word
        return "InProgress", "InProgress"
    allowed = rate.errors(row.max_errors, len(listed))
    if sum(word in ERRORS for word in details) > allowed:
        return ("Failed", "Failed") if "Failed" in details else ("TimedOut", "ExecutionTimedOut")
    if details.count("DeliveryTimedOut") > allowed:
        return "TimedOut", "DeliveryTimedOut"
    if row.cancelled_by and "Cancelled" in details:
        return "Cancelled", "Cancelled"
    if all(one.status == "Success" for one in listed):
        return "Success", "Success"
    return "Failed", "Incomplete"


def left(invocations: Iterable[InvocationRow], which: Collection[Left]) -> list[InvocationRow]:
    """Those that did not succeed and are over, in one of these ways."""
    return [one for one in invocations if one.final and LEFT.get(one.details) in which]


def errors(invocations: Iterable[InvocationRow]) -> int:
    """How many count against `maxErrors`."""
    return sum(one.details in ERRORS for one in invocations)


def cancelled(command: Open, subject: str, at: int) -> tuple[CommandRow, list[InvocationRow]]:
    """After somebody asked for its end: who was given nothing never begins, the others are asked to end."""
    row = replace(command.row, cancelled_by=command.row.cancelled_by or subject)
    changed = []
    for one in command.invocations.values():
        if one.final or one.status == "Cancelling":
            continue
        if one.released_at:
            changed.append(replace(one, status="Cancelling", details="Cancelling"))
        else:
            changed.append(_over(one, "Cancelled", "Cancelled", f"cancelled by {subject} before it began", at))
    return row, changed


def accepted(one: InvocationRow, at: int) -> InvocationRow:
    """The node has the job on its disk."""
    if one.final or one.accepted_at:
        return one
    status = "InProgress" if one.status != "Cancelling" else one.status
    return replace(one, status=status, details=status, accepted_at=at)


def revoked(one: InvocationRow, at: int) -> InvocationRow:
    """The node says that the job never begins there."""
    return one if one.final else _over(one, "Cancelled", "Cancelled", "it was cancelled before it began", at)


def reported(one: InvocationRow, report: Report, at: int) -> InvocationRow:
    """The node's last word on its job. It counts also where the server had given up on it; a second one does not."""
    if one.reported:
        return one
    said = to_wire(report)
    kept = {name: said[name] for name in ("reason", "output", "error", "steps", "claims", "truncated") if name in said}
    status = report.status if report.status in FINAL else "Failed"
    details = status
    if status == "TimedOut":
        details = "ExecutionTimedOut" if report.steps else "DeliveryTimedOut"
    elif status == "Success" and report.steps and all(_invalid(step.reason) for step in report.steps):
        details = "InvalidPlatform"
    text = canonical({"finishedAt": report.finished_at, **kept}).decode()
    return replace(
        one,
        status=status,
        details=details,
        reason=report.reason or "",
        accepted_at=one.accepted_at or at,
        finished_at=at,
        report=text,
    )


def job_of(row: CommandRow, one: InvocationRow, world: World, at: int) -> Job | None:
    """What the node is to be given now; None where there is nothing, or it is too late."""
    if one.final or not one.released_at or one.accepted_at or one.status == "Cancelling":
        return None
    left = one.released_at // 1000 + row.delivery_timeout - at // 1000
    return Job(_envelope(row, one, world, at, left), row.body_digest) if left > 0 else None


def revocation_of(row: CommandRow, one: InvocationRow, world: World, at: int) -> Revocation | None:
    """What ends the job of a node that is asked to end it."""
    if one.status != "Cancelling":
        return None
    return Revocation(_envelope(row, one, world, at, row.delivery_timeout), one.job_id)


def answer_envelope(row: CommandRow, one: InvocationRow, world: World, at: int, asked: Sequence[str]) -> Envelope:
    """What an answer to a job's question carries. `asked` is what an agent has to understand of it."""
    return replace(_envelope(row, one, world, at, row.execution_timeout), must_understand=list(asked))


def _envelope(row: CommandRow, one: InvocationRow, world: World, at: int, left: int) -> Envelope:
    return Envelope(
        PROTOCOL,
        world.fleet_id,
        one.node_id,
        world.incarnation,
        0,
        instant(at),
        left,
        job_id=one.job_id,
        delivery_timeout=row.delivery_timeout,
        execution_timeout=row.execution_timeout,
        cause=f"command {row.id} of {row.subject}",
    )


def _aged(row: CommandRow, one: InvocationRow, at: int, *, online: bool) -> InvocationRow:
    """One invocation after time has passed, or its node came or went."""
    if one.final:
        return one
    if one.accepted_at:
        if at < one.accepted_at + (row.execution_timeout + GRACE) * 1000:
            return one
        if one.status == "Cancelling":
            return _over(one, "Cancelled", "Cancelled", "the node did not say how it ended", at)
        return _over(one, "TimedOut", "ExecutionTimedOut", "the node did not say in time how it ended", at)
    if (one.released_at or not online) and at >= (one.released_at or row.requested_at) + row.delivery_timeout * 1000:
        if one.status == "Cancelling":
            return _over(one, "Cancelled", "Cancelled", "the node was not here to say whether it had begun", at)
        reason = f"the node did not take it within {row.delivery_timeout} s"
        return _over(one, "TimedOut", "DeliveryTimedOut", reason, at)
    if one.status == "Cancelling":
        return one
    status = "Pending" if online else "Delayed"
    return replace(one, status=status, details=status)


def _released(
    row: CommandRow,
    current: dict[str, InvocationRow],
    at: int,
    online: Callable[[str], bool],
    able: Callable[[str], bool],
) -> Iterator[InvocationRow]:
    """Those that are given their job now, and those that never are."""
    waiting = [one for one in current.values() if not one.final and not one.released_at]
    if not waiting:
        return
    total = len(current)
    allowed = rate.errors(row.max_errors, total)
    if errors(current.values()) > allowed:
        for one in waiting:
            reason = f"maxErrors: more than {allowed} of {total} nodes failed"
            yield _over(one, "Cancelled", "Terminated", reason, at)
        return
    room = rate.concurrency(row.max_concurrency, total) - sum(
        not one.final and bool(one.accepted_at or (one.released_at and online(one.node_id))) for one in current.values()
    )
    for one in waiting:
        if room <= 0:
            return
        if not online(one.node_id):
            continue
        if not able(one.node_id):
            yield _over(one, "Failed", "Undeliverable", "its agent does not take jobs: upgrade it", at)
            continue
        room -= 1
        yield replace(one, released_at=at)


def _over(one: InvocationRow, status: str, details: str, reason: str, at: int) -> InvocationRow:
    return replace(one, status=status, details=details, reason=reason, finished_at=at)


def _invalid(reason: str | None) -> bool:
    return (reason or "").startswith("InvalidPlatform")


def ordered(invocations: Iterable[InvocationRow]) -> Sequence[InvocationRow]:
    """As people read them."""
    return sorted(invocations, key=lambda one: one.node_name)
