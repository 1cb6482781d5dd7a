"""Commands at work: dispatched, moved through their waves, cancelled, and what came of them.

What is open is in memory as the store has it; the store is written first. Where a change was not kept, all of it is
read from the store again before anything else is decided.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import instant
from agent.contract.job import FEATURE
from reconciler.core.problem import Refused
from reconciler.core.records import AuditRow, Changes
from reconciler.engine import commands as engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.contract.job import Accepted, Job, Output, Revocation, Revoked
    from agent.contract.wire import Report
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.state import State
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.effect import Cancel, Cause, Dispatch
    from reconciler.core.ports import Clock, OutputStore, Store
    from reconciler.engine.commands import Open

OWNERS_REMEMBERED = 10_000


class CommandDesk:
    """What changes anything runs on the loop; `orders`, `output`, `bodies` and what only shows, on any thread."""

    def __init__(self, state: State, keeper: Keeper, store: Store, outputs: OutputStore, clock: Clock) -> None:
        self._state, self._keeper, self._store = state, keeper, store
        self._outputs, self._clock = outputs, clock
        self._open: dict[str, Open] | None = None
        self._by_node: dict[str, dict[str, str]] = {}
        self._reading = threading.Lock()
        self._owners: OrderedDict[str, str] = OrderedDict()
        self.on_end: Callable[[CommandRow, list[InvocationRow]], None] = lambda _row, _invocations: None

    # What is decided

    def dispatch(self, effect: Dispatch, cause: Cause, files: Mapping[str, bytes], known: str = "") -> CommandRow:
        """Begin a command. `files` are the bytes that its body names, by digest. Durable on return.

        A second dispatch under an id that is `known` changes nothing: it gives the first one's command.
        """
        before = self._store.command(known) if known else None
        if before is not None:
            return before
        command = engine.begun(effect, self._state.world, cause, known=known)
        row, released = engine.settled(command, cause.at, self._online, self._able)
        command.invocations.update((one.job_id, one) for one in released)
        detail = f"{row.document} on {row.target_count} nodes ({row.targets})"
        audit = AuditRow(
            cause.at, cause.subject, "check" if row.check else "run", row.document, "started", row.id, detail
        )
        bodies = {row.body_digest: effect.body, **files}
        self._commit(row, command.invocations.values(), (audit,), bodies)
        return row

    def cancel(self, effect: Cancel, cause: Cause) -> CommandRow:
        """Ask for the end of a command. `Refused` for one that is over or was never there."""
        command = self._all().get(effect.command_id)
        if command is None:
            known = self._store.command(effect.command_id)
            why = f"it is over: {known.status}" if known is not None else "there is none of this id"
            raise Refused(f"the command {effect.command_id:.40} cannot be cancelled: {why}", "command")
        row, changed = engine.cancelled(command, cause.subject, cause.at)
        audit = AuditRow(cause.at, cause.subject, "cancel", row.document, "asked", row.id)
        self._commit(row, changed, (audit,))
        return row

    def settle(self) -> None:
        """Move on what time, comings and goings allow."""
        now = self._clock.now_ms()
        for command in list(self._all().values()):
            row, changed = engine.settled(command, now, self._online, self._able)
            if changed or row != command.row:
                self._commit(row, changed)

    def accepted(self, node_id: str, accepted: Accepted) -> None:
        """A node has its job."""
        self._change(node_id, accepted.job_id, lambda one: engine.accepted(one, self._clock.now_ms()))

    def revoked(self, node_id: str, revoked: Revoked) -> None:
        """A node says that its job never begins."""
        self._change(node_id, revoked.job_id, lambda one: engine.revoked(one, self._clock.now_ms()))

    def reported(self, report: Report) -> None:
        """A node's last word on its job; durable on return. On a job that nobody knows any more it is dropped."""
        self._change(report.node_id, str(report.job_id), lambda one: engine.reported(one, report, self._clock.now_ms()))

    # What nodes are told, and say

    def orders(self, node_id: str) -> tuple[tuple[Job, ...], tuple[Revocation, ...]]:
        """The jobs that a node is to take now, and those that it is to end."""
        with self._reading:
            mine = list(self._by_node.get(node_id, {}).items())
        now, world, open_ = self._clock.now_ms(), self._state.world, self._open or {}
        jobs, revocations = [], []
        for job_id, command_id in mine:
            command = open_.get(command_id)
            one = command.invocations.get(job_id) if command is not None else None
            if command is None or one is None:
                continue
            job = engine.job_of(command.row, one, world, now)
            revocation = engine.revocation_of(command.row, one, world, now)
            jobs += [job] if job is not None else []
            revocations += [revocation] if revocation is not None else []
        return tuple(jobs), tuple(revocations)

    def bodies(self, node_id: str) -> set[str]:
        """Digests of the bodies that a node's open jobs are made of."""
        with self._reading:
            mine = set(self._by_node.get(node_id, {}).values())
        open_ = self._open or {}
        return {open_[command_id].row.body_digest for command_id in mine if command_id in open_}

    def at_work(self, node_id: str, job_id: str) -> tuple[CommandRow, InvocationRow]:
        """A job that is this node's and goes on. `Refused` for any other."""
        with self._reading:
            command_id = self._by_node.get(node_id, {}).get(job_id)
        command = (self._open or {}).get(command_id or "")
        one = command.invocations.get(job_id) if command is not None else None
        if command is None or one is None:
            raise Refused(f"job {job_id:.40} is not at work on this node", "job")
        return command.row, one

    def output(self, node_id: str, output: Output, offset: int, data: bytes) -> tuple[int, bool]:
        """What a step says from `offset` on. `Refused` for a job that is not this node's."""
        if self._owner(output.job_id) != node_id:
            raise Refused(f"job {output.job_id:.40} is not this node's", "output")
        return self._outputs.append(output.job_id, output.step, output.name, offset, data)

    # What people are shown

    def find(self, command_id: str) -> CommandRow:
        """A command by its id. `Refused` where there is none."""
        command = (self._open or {}).get(command_id)
        row = command.row if command is not None else self._store.command(command_id)
        if row is None:
            raise Refused(f"no command {command_id:.40} is known", "command", "see opsctl run list")
        return row

    def newest(self, limit: int) -> list[CommandRow]:
        """Commands as the store has them, newest first."""
        return self._store.commands(limit=limit)

    def body(self, row: CommandRow) -> bytes:
        """What every node of a command was given. `Refused` where it is not kept any more."""
        data = self._store.body(row.body_digest)
        if data is None:
            raise Refused(f"what command {row.id} ran is not kept any more", "command", "run the document again")
        return data

    def invocations(self, command_id: str) -> list[InvocationRow]:
        """A command's, by the names of their nodes."""
        command = (self._open or {}).get(command_id)
        if command is None:
            return self._store.invocations(command_id)
        return list(engine.ordered(tuple(command.invocations.values())))

    def collect(self, before: int, most: int) -> int:
        """Forget outputs that are old or too many; of how many jobs."""
        return self._outputs.collect(before, most)

    def read(self, job_id: str, step: str, stream: str, offset: int, size: int) -> bytes:
        """Part of what a step said."""
        return self._outputs.read(job_id, step, stream, offset, size)

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
        said = json.loads(one.report)
        sizes = self._outputs.sizes(one.job_id) if one.released_at else {}
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

    # How

    def _all(self) -> dict[str, Open]:
        """What is open, read from the store where it is not known."""
        if self._open is None:
            rows = self._store.open_commands()
            found = {
                row.id: engine.Open(row, {one.job_id: one for one in self._store.invocations(row.id)}) for row in rows
            }
            self._open = found
            self._index()
            self._keeper.wake(sorted(self._by_node))
        return self._open

    def _change(self, node_id: str, job_id: str, change: Callable[[InvocationRow], InvocationRow]) -> None:
        """What a node says of its own job."""
        command, before = self._command_of(job_id)
        if command is None or before is None or before.node_id != node_id:
            return
        after = change(before)
        if after == before:
            return
        given = {**command.invocations, job_id: after}
        row, moved = engine.settled(engine.Open(command.row, given), self._clock.now_ms(), self._online, self._able)
        self._commit(row, [*(one for one in moved if one.job_id != job_id), *_last(after, moved)])

    def _command_of(self, job_id: str) -> tuple[Open | None, InvocationRow | None]:
        """A job's command, also one that is over: a late word still counts."""
        for command in self._all().values():
            if job_id in command.invocations:
                return command, command.invocations[job_id]
        one = self._store.invocation(job_id)
        row = self._store.command(one.command_id) if one is not None else None
        if one is None or row is None:
            return None, None
        return engine.Open(row, {other.job_id: other for other in self._store.invocations(row.id)}), one

    def _commit(
        self,
        row: CommandRow,
        changed: Iterable[InvocationRow],
        audit: tuple[AuditRow, ...] = (),
        bodies: Mapping[str, bytes] | None = None,
    ) -> None:
        listed = tuple(changed)
        now = self._clock.now_ms()
        before = self._all().get(row.id)
        if row.final and before is not None:
            done = AuditRow(now, row.subject, "command", row.document, row.status, row.id, row.details)
            audit = (*audit, done)
        changes = Changes(at=now, commands=(row,), invocations=listed, audit=audit, bodies=bodies or {})
        try:
            self._keeper.commit(changes)
        except BaseException:
            self._open = None
            raise
        known = before.invocations if before is not None else {}
        invocations = {**known, **{one.job_id: one for one in listed}}
        open_ = {**self._all(), row.id: engine.Open(row, invocations)}
        if row.final:
            del open_[row.id]
        self._open = open_
        self._index()
        if row.final:
            self.on_end(row, list(engine.ordered(tuple(invocations.values()))))
        self._keeper.wake(sorted({one.node_id for one in listed if one.released_at and not one.final}))

    def _index(self) -> None:
        """Who has open jobs, for whoever asks from another thread."""
        found: dict[str, dict[str, str]] = {}
        for command_id, command in (self._open or {}).items():
            for one in command.invocations.values():
                if one.released_at and not one.final:
                    found.setdefault(one.node_id, {})[one.job_id] = command_id
        with self._reading:
            self._by_node = found

    def _owner(self, job_id: str) -> str:
        """The node that a job is of, empty for no job."""
        with self._reading:
            known = self._owners.get(job_id)
        if known is None:
            one = self._store.invocation(job_id)
            known = one.node_id if one is not None else ""
            with self._reading:
                self._owners[job_id] = known
                while len(self._owners) > OWNERS_REMEMBERED:
                    self._owners.popitem(last=False)
        return known

    def _online(self, node_id: str) -> bool:
        world = self._state.world
        return bool(world.online & world.nodes.named(node_id))

    def _able(self, node_id: str) -> bool:
        """Before it said what it does, as after a start of the server, it is taken to be able."""
        features = self._state.life(node_id).features
        return FEATURE in features or not features


def _last(after: InvocationRow, moved: list[InvocationRow]) -> list[InvocationRow]:
    """An invocation as it is after its node's word and what follows from it."""
    return [one for one in moved if one.job_id == after.job_id] or [after]
