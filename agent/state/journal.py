"""What the agent must not forget: runs started and finished, run instants taken, reports not yet acknowledged.

A run is on disk before its process starts, and its end before anything else starts: so a script is started at most
once per `RunKey`. A report has its durable number before it is sent, and stays until it is acknowledged.

Where the disk takes nothing, nothing is started. What has happened already is remembered in memory, and written as soon
as there is room: how a run ended, and reports, which get their number then.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from agent.contract.canonical import canonical, digest_of
from agent.contract.codec import from_wire, to_wire
from agent.contract.record import NamedTuple
from agent.contract.wire import Report
from agent.log import ERROR, WARNING, log
from agent.state.lock import StateLock
from agent.state.recordlog import Record, RecordLog

GENERATIONS_KEPT = 2
INSTANTS_KEPT = 8
UIDS_KEPT = 4096
COMPACT_AT = 256 * 1024
PENDING_BYTES = 32 * 1024 * 1024
"""Reports that wait are kept up to here, all of them; beyond, those go to which a newer one on the same is kept."""
UNWRITTEN_AT_MOST = 500
"""What waits in memory for a disk."""


class RunKey(NamedTuple):
    """What a script is started at most once for. `run_instant` is empty for the one run of a generation."""

    uid: str
    generation: int
    run_instant: str
    step: str
    attempt: int

    @property
    def execution(self) -> str:
        """This run's name in one word, fit for a file: what people know it by, and a digest of all of it."""
        said = "-".join((self.uid.rpartition("/")[2], str(self.generation), self.step))
        return "%s-%s" % (re.sub(r"[^A-Za-z0-9_]+", "-", said)[:100], digest_of(list(self))[7:23])


class RunInstant(NamedTuple):
    """The run that an association's scripts are at: its name in `RunKey`, and the time the next is counted from."""

    generation: int
    text: str
    at: int


class Reported(NamedTuple):
    """What the server was last told, or is about to be: a look that finds the same keeps no report.

    `applied` says that the node was allowed to change when it was told of this generation and context.
    """

    generation: int
    body_digest: str
    context_digest: str
    content: str
    applied: bool


class Pending(NamedTuple):
    """A report that waits to be acknowledged."""

    seq: int
    at: int
    length: int


RunState = Union[None, Tuple[str, str], Tuple[str, int, str]]


def begin(directory: str, last_seq: int, reported: Mapping[str, Reported]) -> None:
    """Begin the journal of a node whose memory is the server's: where its reports are, and what it told last."""
    log = RecordLog(os.path.join(directory, "journal"))
    log.load()
    log.append(canonical({"kind": "seq", "seq": last_seq}), False)
    for uid, told in reported.items():
        log.append(canonical({"kind": "reported", "uid": uid, "reported": list(told)}), False)
    log.close()


class Journal:
    """The journal of one state directory. Every method may be called from any thread."""

    def __init__(self, directory: str) -> None:
        """Open or create. Raises StateInUse. `damaged` counts bytes that a failing disk took out of its middle."""
        self._lock = StateLock(directory)
        self._mutex = threading.Lock()
        self._runs: Dict[str, Dict[RunKey, RunState]] = {}
        self._instants: Dict[str, RunInstant] = {}
        self._reported: Dict[str, Reported] = {}
        self._pending: Dict[int, Pending] = {}
        self._unwritten: List[Dict[str, Any]] = []
        self._last_seq = 0
        self.dropped = 0
        self._log = RecordLog(os.path.join(directory, "journal"))
        for record in self._log.load():
            self._replay(record)
        self.damaged = self._log.damaged
        self._compacted_size = 0
        self._compact_when_grown()

    def close(self) -> None:
        self.write_again()
        with self._mutex:
            self._log.close()
            self._lock.release()

    # Runs

    def started(self, key: RunKey, boot_id: str) -> None:
        """Durable on return: call before the process starts or the change is applied."""
        self._write({"kind": "started", "run": list(key), "boot": boot_id})

    def finished(self, key: RunKey, rc: int, status: str) -> None:
        """Durable on return, where the disk takes it; known in any case."""
        with self._mutex:
            self._remember({"kind": "finished", "run": list(key), "rc": rc, "status": status})

    def rebooting(self, key: RunKey, boot_id: str) -> None:
        """Durable on return: the run ended by asking for a reboot, in this boot. Call before it is asked for."""
        self._write({"kind": "rebooting", "run": list(key), "boot": boot_id})

    def state(self, key: RunKey) -> RunState:
        """None, `("started", boot_id)`, `("rebooting", boot_id)` or `("finished", rc, status)`."""
        with self._mutex:
            return self._runs.get(key.uid, {}).get(key)

    def unfinished(self, uid: str, step: str) -> List[Tuple[RunKey, str]]:
        """Runs of a step that were started and of which no end is known, with the boot that they were started in."""
        with self._mutex:
            runs = self._runs.get(uid, {}).items()
            return [(key, str(state[1])) for key, state in runs if key.step == step and state and state[0] == "started"]

    def take_instant(self, uid: str, instant: RunInstant) -> None:
        """Durable on return: the association's scripts are at this run from now on."""
        self._write({"kind": "instant", "uid": uid, "instant": list(instant)})

    def instant(self, uid: str) -> Optional[RunInstant]:
        with self._mutex:
            return self._instants.get(uid)

    # Reports

    def report(self, report: Report, content: str, applied: bool) -> Optional[int]:
        """Number a report and keep it until it is acknowledged; durable on return. Returns its `seq`.

        None says that the disk did not take it, and that it waits in memory for its number. `content` is the digest of
        what must differ for the next report on this association to be kept; empty forgets the association: such a
        report waits in nobody's memory, and OSError is raised.
        """
        value = {"kind": "report", "report": to_wire(report), "content": content, "applied": applied}
        with self._mutex:
            if not content:
                self._record(self._numbered(value), sync=True)
                return self._last_seq
            return int(self._last_seq) if self._remember(value) else None

    def write_again(self) -> bool:
        """Try to write what waits in memory; whether any of it was written."""
        with self._mutex:
            waiting = len(self._unwritten)
            return bool(waiting) and (self._write_waiting() or len(self._unwritten) < waiting)

    def unwritten(self) -> int:
        """How much waits in memory, for the disk takes nothing."""
        with self._mutex:
            return len(self._unwritten)

    def pending(self, after: int = 0, most: Optional[int] = None) -> List[Pending]:
        """Reports not acknowledged, oldest first; `payload` reads one."""
        with self._mutex:
            return list(itertools.islice((item for item in self._pending.values() if item.seq > after), most))

    def pending_count(self) -> int:
        """Reports that the server has not got, those included that wait in memory."""
        with self._mutex:
            return len(self._pending) + sum(1 for value in self._unwritten if value["kind"] == "report")

    def payload(self, seq: int) -> Optional[bytes]:
        """The canonical bytes of a pending report, ready to be signed; None once it is acknowledged."""
        with self._mutex:
            found = self._pending.get(seq)
            if found is None:
                return None
            record = json.loads(self._log.read(found.at, found.length))
        return canonical(record["report"])

    def acknowledged(self, seq: int) -> None:
        """The server has every report up to and including `seq`. Not synced: to send one again does no harm."""
        with self._mutex:
            if not any(number <= seq for number in self._pending):
                return
            value = {"kind": "ack", "seq": min(seq, self._last_seq)}
            try:
                self._record(value, sync=False)
            except OSError:
                self._replay(Record(0, b""), value)

    def last_reported(self, uid: str) -> Optional[Reported]:
        with self._mutex:
            return self._reported.get(uid)

    def last_seq(self) -> int:
        """The number of the newest report, 0 before the first."""
        with self._mutex:
            return self._last_seq

    # The log

    def _write(self, value: Dict[str, Any]) -> None:
        with self._mutex:
            self._record(value, sync=True)

    def _remember(self, value: Dict[str, Any]) -> bool:
        """Write it after what waits already, or let it wait too; whether it is durable."""
        if value["kind"] == "finished":
            self._replay(Record(0, b""), value)
        else:
            report = from_wire(Report, value["report"])
            self._unwritten = [waiting for waiting in self._unwritten if not _same(waiting, value)]
            self._reported[report.uid] = _reported(report, value)
        self._unwritten = [*self._unwritten, value][-UNWRITTEN_AT_MOST:]
        return self._write_waiting()

    def _write_waiting(self) -> bool:
        """Whether nothing waits any more."""
        try:
            while self._unwritten:
                value = self._unwritten[0]
                self._record(self._numbered(value) if value["kind"] == "report" else value, sync=True)
                del self._unwritten[0]
        except OSError as error:
            log(ERROR, "the journal cannot be written, %d entries wait in memory: %s", len(self._unwritten), error)
        return not self._unwritten

    def _numbered(self, value: Dict[str, Any]) -> Dict[str, Any]:
        return dict(value, report=dict(value["report"], seq=self._last_seq + 1))

    def _record(self, value: Dict[str, Any], sync: bool) -> None:
        payload = canonical(value)
        at = self._log.append(payload, sync)
        self._replay(Record(at, payload), value)
        self._compact_when_grown()

    def _replay(self, record: Record, value: Optional[Dict[str, Any]] = None) -> None:
        value = json.loads(record.payload) if value is None else value
        kind = value["kind"]
        if kind in ("started", "rebooting", "finished"):
            key = RunKey(*value["run"])
            runs = self._runs.pop(key.uid, {})
            runs.pop(key, None)  # to the end: the order is that of the last touch
            runs[key] = (kind, value["rc"], value["status"]) if kind == "finished" else (kind, value["boot"])
            self._runs[key.uid] = runs
        elif kind == "instant":
            self._instants[value["uid"]] = RunInstant(*value["instant"])
        elif kind == "report":
            self._replay_report(record, value)
        elif kind == "ack":
            for seq in [seq for seq in self._pending if seq <= value["seq"]]:
                del self._pending[seq]
        elif kind == "reported":
            self._reported[value["uid"]] = Reported(*value["reported"])
        elif kind == "seq":
            self._last_seq = max(self._last_seq, value["seq"])

    def _replay_report(self, record: Record, value: Dict[str, Any]) -> None:
        report = from_wire(Report, value["report"])
        self._last_seq = max(self._last_seq, report.seq)
        self._pending[report.seq] = Pending(report.seq, record.at, len(record.payload))
        if value["content"]:
            self._reported[report.uid] = _reported(report, value)
        else:
            self._reported.pop(report.uid, None)

    def _compact_when_grown(self) -> None:
        if self._log.size < max(COMPACT_AT, 2 * self._compacted_size) and not self._log.damaged:
            return
        self._forget_runs()
        self._forget_history()
        kept = [canonical(value) for value in self._live()]
        waiting = list(self._pending.values())
        try:
            places = self._log.rewrite(kept + [self._log.read(item.at, item.length) for item in waiting])
        except OSError as error:  # what is there stays; it is tried again once it has grown
            log(WARNING, "the journal cannot be compacted: %s", error)
            self._compacted_size = self._log.size
            return
        for item, at in zip(waiting, places[len(kept) :]):
            self._pending[item.seq] = item._replace(at=at)
        self._log.damaged = 0
        self._compacted_size = self._log.size

    def _live(self) -> Iterator[Dict[str, Any]]:
        yield {"kind": "seq", "seq": self._last_seq}
        for runs in self._runs.values():
            for key, state in runs.items():
                if state is not None and len(state) == 2:
                    yield {"kind": state[0], "run": list(key), "boot": state[1]}
                elif state is not None:
                    yield {"kind": "finished", "run": list(key), "rc": state[1], "status": state[2]}
        for uid, instant in self._instants.items():
            yield {"kind": "instant", "uid": uid, "instant": list(instant)}
        for uid, reported in self._reported.items():
            yield {"kind": "reported", "uid": uid, "reported": list(reported)}

    def _forget_history(self) -> None:
        """Where too much waits for the server, reports go that a newer one makes history; the newest on each stay."""
        excess = sum(item.length for item in self._pending.values()) - PENDING_BYTES
        if excess <= 0:
            return
        about = {seq: self._uid(item) for seq, item in self._pending.items()}
        newest = {uid: seq for seq, uid in about.items()}
        for seq, uid in about.items():
            if excess > 0 and newest[uid] != seq:
                excess -= self._pending.pop(seq).length
                self.dropped += 1
        log(WARNING, "too many reports wait for the server: %d older ones were dropped so far", self.dropped)

    def _uid(self, item: Pending) -> str:
        return str(json.loads(self._log.read(item.at, item.length))["report"]["uid"])

    def _forget_runs(self) -> None:
        """Drop runs that cannot come again: all but the newest generations and, within one, the newest instants.

        A generation never restarts and instants only move on, so what is dropped is never asked for; runs of an
        association that left are kept too, for it may return at the same generation.
        """
        for uid in list(self._runs)[:-UIDS_KEPT]:
            del self._runs[uid]
            self._instants.pop(uid, None)
        for uid, runs in self._runs.items():
            generations = sorted({key.generation for key in runs})[-GENERATIONS_KEPT:]
            instants: Dict[Tuple[int, str], List[str]] = {}
            for key in runs:
                seen = instants.setdefault((key.generation, key.step), [])
                if key.run_instant not in seen:
                    seen.append(key.run_instant)
            self._runs[uid] = {
                key: state
                for key, state in runs.items()
                if key.generation in generations
                and (not key.run_instant or key.run_instant in instants[key.generation, key.step][-INSTANTS_KEPT:])
            }


def _reported(report: Report, value: Dict[str, Any]) -> Reported:
    return Reported(report.generation, report.body_digest, report.context_digest, value["content"], value["applied"])


def _same(waiting: Dict[str, Any], value: Dict[str, Any]) -> bool:
    """Whether a report that waits says of its association what a newer one says, and no more."""
    if waiting["kind"] != "report":
        return False
    return bool(waiting["report"]["uid"] == value["report"]["uid"] and waiting["content"] == value["content"])
