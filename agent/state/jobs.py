"""Jobs that this node took: each once, on disk before anything of it is done, until all that it said is delivered.

jobs/ID/job       the job as it came, signed; its being there is what the server is told as accepted
jobs/ID/cancel    somebody asked for its end
jobs/ID/reported  the number of its report, which is in the journal
jobs/ID/runs/     its scripts, see `host.executions`
jobs/known.json   the ids of those that are over, so that none is taken twice

Ids begin with their time: when the oldest known ones are forgotten, what is older than them is not taken any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from typing import Any, Callable, Dict, List, Set, Tuple

from agent import durable
from agent.contract import sshsig
from agent.contract.canonical import DIGEST, instant
from agent.contract.codec import Malformed, from_wire, not_fields, to_wire
from agent.contract.job import Job, Revocation
from agent.contract.record import NamedTuple
from agent.contract.wire import PROTOCOL, Signed
from agent.crypto import opened
from agent.log import ERROR, log
from agent.state.identity import Identity

OPEN_AT_MOST = 200
KNOWN = 4096
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


class JobRefused(Exception):
    """A job that is not taken; nothing of it is remembered."""


class NotSupported(JobRefused):
    """What is asked for is of another version, or for something else than jobs."""


class Taken(NamedTuple):
    """An open job. `until` is the time since boot after which it is not begun any more."""

    job: Job
    until: float

    @property
    def id(self) -> str:
        return str(self.job.envelope.job_id)

    @property
    def uid(self) -> str:
        """What its runs are known under in the journal, and its report is about."""
        return "Job/%s" % self.id


class Said(NamedTuple):
    """What a step of a job says to one stream: files that follow each other. `ended`: they grow no more."""

    job_id: str
    step: str
    name: str
    paths: List[str]
    ended: bool


class Jobs:
    """The jobs of one state directory. May be called from any thread; `changed` is called after each change.

    `said` tells what open jobs have said so far, once there is somebody to run them.
    """

    def __init__(self, state: str, identity: Identity, elapsed: Callable[[], float]) -> None:
        self._directory, self._identity, self._elapsed = os.path.join(state, "jobs"), identity, elapsed
        self._mutex = threading.Lock()
        self._open: Dict[str, Taken] = {}
        self._cancelled: Set[str] = set()
        self._reported: Dict[str, int] = {}
        self._known: List[str] = []
        self._floor = ""
        self.changed: Callable[[], None] = _nobody
        self.said: Callable[[], List[Said]] = list
        self._load()

    def take(self, signed: Signed) -> Tuple[str, bool]:
        """The id of a job that is on disk on return, now or before, and whether it is open.

        Raises JobRefused, OSError, BadSignature.
        """
        job = self._verified(opened(signed, self._identity.controller(), sshsig.JOB))
        job_id = str(job.envelope.job_id)
        with self._mutex:
            if self._is_known(job_id):
                return job_id, job_id in self._open
            if len(self._open) >= OPEN_AT_MOST:
                raise JobRefused("%d jobs are open on this node" % len(self._open))
            self._keep(job, signed)
        self.changed()
        return job_id, True

    def revoke(self, signed: Signed) -> Tuple[str, bool]:
        """Note that a job is to be ended, durably; its id, and whether it is open. Raises as `take`.

        One that never came is known from now on: it is not taken when it does.
        """
        payload = opened(signed, self._identity.controller(), sshsig.REVOCATION)
        revocation: Revocation = self._read(Revocation, payload)
        job_id = revocation.revoked_id
        if revocation.envelope.job_id != job_id:
            raise NotSupported("it is not of a job")
        with self._mutex:
            is_open = job_id in self._open
            if is_open:
                self._mark(job_id, "cancel")
                self._cancelled.add(job_id)
            elif not self._is_known(job_id):
                self._know(job_id)
        self.changed()
        return job_id, is_open

    def open(self) -> List[Taken]:
        """Those that are not over, oldest first."""
        with self._mutex:
            return [self._open[job_id] for job_id in sorted(self._open)]

    def is_open(self, job_id: str) -> bool:
        with self._mutex:
            return job_id in self._open

    def is_cancelled(self, job_id: str) -> bool:
        with self._mutex:
            return job_id in self._cancelled

    def is_reported(self, job_id: str) -> bool:
        with self._mutex:
            return job_id in self._reported

    def report_of(self, job_id: str) -> int:
        """The number of its report, 0 before there is one."""
        with self._mutex:
            return self._reported.get(job_id, 0)

    def reported(self, job_id: str, seq: int) -> None:
        """Its report is durable; it and what the job said may still be on their way."""
        with self._mutex:
            self._mark(job_id, "reported", b"%d" % seq)
            self._reported[job_id] = seq
        self.changed()

    def delivered(self, job_id: str) -> None:
        """Nothing of it is needed any more."""
        with self._mutex:
            if job_id not in self._open:
                return
            self._know(job_id)
            del self._open[job_id]
            self._cancelled.discard(job_id)
            self._reported.pop(job_id, None)
        _remove(self.place(job_id))
        self.changed()

    def place(self, job_id: str) -> str:
        """The directory of an open job."""
        return os.path.join(self._directory, job_id)

    def bodies(self) -> List[str]:
        """Digests of the bodies that open jobs are made of."""
        return [taken.job.body_digest for taken in self.open()]

    def _verified(self, payload: bytes) -> Job:
        job: Job = self._read(Job, payload)
        if job.envelope.delivery_timeout is None:
            raise NotSupported("it does not say until when it may be delivered")
        if not DIGEST.match(job.body_digest):
            raise JobRefused("it names its body by something that is not a digest")
        return job

    def _read(self, kind: Any, payload: bytes) -> Any:
        try:
            message = from_wire(kind, json.loads(payload), kind.__name__.lower())
        except (ValueError, RecursionError, Malformed) as error:
            raise JobRefused("it is malformed: %s" % error) from error
        envelope = message.envelope
        if (envelope.fleet_id, envelope.node_id) != (self._identity.fleet_id, self._identity.node_id):
            raise JobRefused("it is for node %s of fleet %s" % (envelope.node_id, envelope.fleet_id))
        if envelope.protocol != PROTOCOL or not_fields(kind, envelope.must_understand):
            raise NotSupported("this agent does not understand all of it")
        if not _ID.match(envelope.job_id or ""):
            raise JobRefused("it has no id of a job")
        return message

    def _is_known(self, job_id: str) -> bool:
        return job_id in self._open or job_id in self._known or job_id <= self._floor

    def _know(self, job_id: str) -> None:
        known = sorted([*self._known, job_id])
        floor = max(self._floor, known[-KNOWN - 1]) if len(known) > KNOWN else self._floor
        value = {"floor": floor, "known": known[-KNOWN:]}
        durable.make_directory(self._directory)
        durable.replace(os.path.join(self._directory, "known.json"), json.dumps(value).encode())
        self._known, self._floor = known[-KNOWN:], floor

    def _keep(self, job: Job, signed: Signed) -> None:
        place = self.place(str(job.envelope.job_id))
        durable.make_directory(place)
        durable.replace(os.path.join(place, "job"), json.dumps(to_wire(signed)).encode())
        self._open[str(job.envelope.job_id)] = self._taken(job)

    def _taken(self, job: Job) -> Taken:
        return Taken(job, self._elapsed() + job.envelope.expires_in)

    def _mark(self, job_id: str, word: str, data: bytes = b"") -> None:
        durable.replace(os.path.join(self.place(job_id), word), data)

    def _load(self) -> None:
        """What is on disk, verified as if it came just now."""
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return
        data = durable.read(os.path.join(self._directory, "known.json"))
        if data is not None:
            try:
                value = json.loads(data)
                self._known, self._floor = list(map(str, value["known"])), str(value["floor"])
            except (ValueError, KeyError, TypeError) as error:
                log(ERROR, "which jobs are over is not known any more: %s", error)
                self._floor = max((name for name in names if _ID.match(name)), default="")
        for name in names:
            if _ID.match(name):
                self._load_one(name)

    def _load_one(self, job_id: str) -> None:
        place = self.place(job_id)
        try:
            data = durable.read(os.path.join(place, "job"))
            if data is None or job_id in self._known:  # never accepted, or over already
                _remove(place)
                return
            signed = from_wire(Signed, json.loads(data), place)
            job = self._verified(opened(signed, self._identity.controller(), sshsig.JOB))
        except (ValueError, Malformed, sshsig.BadSignature, JobRefused) as error:
            log(ERROR, "the job %s on disk cannot be used: %s", job_id, error)
            return
        self._open[job_id] = self._taken(job)
        if os.path.exists(os.path.join(place, "cancel")):
            self._cancelled.add(job_id)
        seq = durable.read(os.path.join(place, "reported"))
        if seq is not None:
            self._reported[job_id] = int(seq)


def shown(state: str) -> Dict[str, Dict[str, Any]]:
    """The open jobs of a state directory by id, to be shown and not acted on: when each was given out, how far it is.

    `state` is `Begun` once a script of it was started, `Ending` where somebody asked for that, `Told` when its report
    is written, `Taken` before all of this.
    """
    found = {}
    with contextlib.suppress(OSError):
        for job_id in sorted(filter(_ID.match, os.listdir(os.path.join(state, "jobs")))):
            place = os.path.join(state, "jobs", job_id)
            marks = (("reported", "Told"), ("cancel", "Ending"), ("runs", "Begun"), ("job", "Taken"))
            known = [word for name, word in marks if os.path.exists(os.path.join(place, name))]
            if known:
                found[job_id] = {"given": instant(int(job_id[:8] + job_id[9:13], 16)), "state": known[0]}
    return found


def _remove(place: str) -> None:
    """A directory with all in it, as far as can be. Not by `shutil`, which brings more than it is needed for."""
    for directory, below, names in os.walk(place, topdown=False):
        links = [name for name in below if os.path.islink(os.path.join(directory, name))]
        with contextlib.suppress(OSError):
            for name in names + links:
                os.unlink(os.path.join(directory, name))
            os.rmdir(directory)


def _nobody() -> None:
    """Nobody waits to be told."""
