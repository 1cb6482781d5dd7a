"""Commands at work: dispatched, moved through their waves, cancelled, and what came of them.

What is open is in memory as the store has it; the store is written first. Where a change was not kept, all of it is
read from the store again before anything else is decided.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.contract.job import FEATURE
from reconciler.controller.command_views import CommandViews
from reconciler.core.nodeset import EMPTY
from reconciler.core.problem import Refused
from reconciler.core.records import AuditRow, Changes
from reconciler.engine import commands as engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from agent.contract.job import Accepted, Job, Output, Revocation, Revoked
    from agent.contract.wire import Report
    from reconciler.controller.keeper import Keeper
    from reconciler.controller.state import State
    from reconciler.core.commands import CommandRow, InvocationRow
    from reconciler.core.effect import Cancel, Cause, Dispatch
    from reconciler.core.ports import Clock, OutputStore, Store
    from reconciler.engine.commands import Open

OWNERS_REMEMBERED = 10_000
LOOK_MS = 1000
"""How often time may move commands of which no node says anything."""


class _Word(NamedTuple):
    """What a node says of one of its jobs. `durable` is resolved once it is kept."""

    node_id: str
    job_id: str
    change: Callable[[InvocationRow, int], InvocationRow]
    durable: Future[None]


class _Move(NamedTuple):
    """A command as it was, its row as it is now, and those of its invocations that are otherwise, by job."""

    before: Open
    row: CommandRow
    changed: Mapping[str, InvocationRow]


class CommandDesk:
    """What changes anything runs on the loop; `orders`, `output`, `bodies` and what only shows, on any thread."""

    def __init__(self, state: State, keeper: Keeper, store: Store, outputs: OutputStore, clock: Clock) -> None:
        self._state, self._keeper, self._store = state, keeper, store
        self._outputs, self._clock = outputs, clock
        self._views = CommandViews(outputs)
        self._open: dict[str, Open] | None = None
        self._by_node: dict[str, dict[str, str]] = {}
        self._jobs: dict[str, str] = {}
        self._words: list[_Word] = []
        self._looked = (EMPTY, 0)
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
        self._keep([_Move(engine.Open(row, {}), row, command.invocations)], (audit,), bodies)
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
        self._keep([_Move(command, row, {one.job_id: one for one in changed})], (audit,))
        return row

    def settle(self) -> None:
        """Take in what nodes said since the last time, and move on what time, comings and goings allow.

        One transaction for all of it, and one answer to everybody who waits for that.
        """
        words, self._words = self._words, []
        try:
            self._keep([move for move in self._moves(words) if move.changed or move.row != move.before.row])
        except BaseException as error:
            for word in words:
                word.durable.set_exception(error)
            raise
        for word in words:
            word.durable.set_result(None)

    def accepted(self, node_id: str, accepted: Accepted, durable: Future[None]) -> None:
        """A node has its job. `durable` is resolved by the `settle` that follows, as below."""
        self._words.append(_Word(node_id, accepted.job_id, engine.accepted, durable))

    def revoked(self, node_id: str, revoked: Revoked, durable: Future[None]) -> None:
        """A node says that its job never begins."""
        self._words.append(_Word(node_id, revoked.job_id, engine.revoked, durable))

    def reported(self, report: Report, durable: Future[None]) -> None:
        """A node's last word on its job. On a job that nobody knows any more it is dropped."""

        def heard(one: InvocationRow, at: int) -> InvocationRow:
            return engine.reported(one, report, at)

        self._words.append(_Word(report.node_id, str(report.job_id), heard, durable))

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

    def known(self, command_id: str) -> CommandRow | None:
        """A command by its id as the store has it, None where there is none."""
        return self._store.command(command_id)

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
        return self._views.view(row, invocations)

    # How

    def _all(self) -> dict[str, Open]:
        """What is open, read from the store where it is not known."""
        if self._open is None:
            rows = self._store.open_commands()
            found = {
                row.id: engine.Open(row, {one.job_id: one for one in self._store.invocations(row.id)}) for row in rows
            }
            self._by_node, self._jobs = {}, {}
            for command in found.values():
                self._jobs.update(dict.fromkeys(command.invocations, command.row.id))
            self._index(found, [one for command in found.values() for one in command.invocations.values()])
            self._open = found
            self._keeper.wake(sorted(self._by_node))
        return self._open

    def _moves(self, words: Sequence[_Word]) -> Iterator[_Move]:
        """What becomes of commands by what nodes said, and of the others where it may be time."""
        now = self._clock.now_ms()
        heard = self._heard(words, now)
        for command, said in heard.values():
            after = engine.Open(command.row, {**command.invocations, **said})
            row, moved = engine.settled(after, now, self._online, self._able)
            yield _Move(command, row, {**said, **{one.job_id: one for one in moved}})
        online = self._state.world.online
        if online == self._looked[0] and now < self._looked[1] + LOOK_MS:
            return
        self._looked = (online, now)
        for command in self._all().values():
            if command.row.id not in heard:
                row, moved = engine.settled(command, now, self._online, self._able)
                yield _Move(command, row, {one.job_id: one for one in moved})

    def _heard(self, words: Sequence[_Word], at: int) -> dict[str, tuple[Open, dict[str, InvocationRow]]]:
        """By command, those of its invocations that are otherwise after what nodes said of their own jobs."""
        found: dict[str, tuple[Open, dict[str, InvocationRow]]] = {}
        for word in words:
            known = self._command_of(word.job_id)
            if known not in found:
                command = self._command(known)
                if command is None:
                    continue
                found[known] = (command, {})
            command, said = found[known]
            before = said.get(word.job_id) or command.invocations[word.job_id]
            after = word.change(before, at) if before.node_id == word.node_id else before
            if after != before:
                said[word.job_id] = after
        return found

    def _command_of(self, job_id: str) -> str:
        """The id of a job's command, empty for no job."""
        self._all()
        if job_id not in self._jobs:
            one = self._store.invocation(job_id)
            return one.command_id if one is not None else ""
        return self._jobs[job_id]

    def _command(self, command_id: str) -> Open | None:
        """A command, also one that is over: a late word still counts."""
        command = self._all().get(command_id)
        row = self._store.command(command_id) if command is None and command_id else None
        if row is None:
            return command
        return engine.Open(row, {one.job_id: one for one in self._store.invocations(command_id)})

    def _keep(
        self, moves: Sequence[_Move], audit: Sequence[AuditRow] = (), bodies: Mapping[str, bytes] | None = None
    ) -> None:
        """One transaction for all moves; then they are what is known."""
        if not moves:
            return
        now = self._clock.now_ms()
        ended = [move for move in moves if move.row.final and not move.before.row.final]
        done = [
            AuditRow(now, row.subject, "command", row.document, row.status, row.id, row.details)
            for row in (move.row for move in ended)
        ]
        changed = [one for move in moves for one in move.changed.values()]
        rows = tuple(move.row for move in moves)
        changes = Changes(at=now, commands=rows, invocations=tuple(changed), audit=(*audit, *done), bodies=bodies or {})
        try:
            self._keeper.commit(changes)
        except BaseException:
            self._open = None
            raise
        open_ = dict(self._all())
        for move in moves:
            open_[move.row.id] = engine.Open(move.row, {**move.before.invocations, **move.changed})
            self._jobs.update(dict.fromkeys(move.changed, move.row.id))
        self._index(open_, changed)
        for move in ended:
            invocations = open_[move.row.id].invocations
            self.on_end(move.row, list(engine.ordered(tuple(invocations.values()))))
        self._keeper.wake(sorted({one.node_id for one in changed if one.released_at and not one.final}))

    def _index(self, open_: dict[str, Open], changed: Iterable[InvocationRow]) -> None:
        """Note what is open, and who has open jobs, for whoever asks from another thread."""
        with self._reading:
            for one in changed:
                mine = self._by_node.setdefault(one.node_id, {})
                if one.released_at and not one.final:
                    mine[one.job_id] = one.command_id
                else:
                    mine.pop(one.job_id, None)
                    if not mine:
                        del self._by_node[one.node_id]
        for command in [command for command in open_.values() if command.row.final]:
            for job_id in command.invocations:
                self._jobs.pop(job_id, None)
        self._open = {known: command for known, command in open_.items() if not command.row.final}

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
