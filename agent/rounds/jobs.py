"""Jobs at work: a thread for each, a few at once, beside the rounds.

One thread decides what is begun and what is to be ended; it sleeps until something changes while nothing is open.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Callable, Dict, List, Optional, Tuple, TypeVar

from agent import log
from agent.contract.canonical import instant
from agent.contract.job import OUTPUT_KEPT, STREAMS, Compile
from agent.contract.record import NamedTuple
from agent.contract.wire import Body, BodyStep, NodeContext, Report
from agent.host.local import LocalHost
from agent.rounds import job_run, orchestration
from agent.rounds.bench import Bench
from agent.rounds.documents import Document, on_node
from agent.rounds.job_report import overall, report_of
from agent.rounds.look import Look
from agent.rounds.reports import Subject
from agent.state.assignments import NotUnderstood
from agent.state.jobs import Said, Taken
from agent.state.node import Node
from agent.state.objects import NotHeld
from agent.steps.step import REBOOTING, defect

AT_ONCE = 5
"""SSM's CommandWorkersLimit."""
LOOK_SECONDS = 0.5
"""How often is looked whether one at work is to be ended."""
ASK_AGAIN = 300.0
"""Seconds after which a reboot that did not come is asked for again."""
TELL_AGAIN = 5.0
LONGEST = 7 * 86400.0
_Part = TypeVar("_Part", Body, NodeContext)
CANCELLED, TIMED_OUT = "Cancelled", "TimedOut"


class _Work(NamedTuple):
    """A job that is being run. `deadline` is in seconds since boot."""

    taken: Taken
    body: Body
    deadline: float
    thread: threading.Thread


class JobRunner:
    """Runs the jobs that the node took. `wake` says that there is something to send; `reboot` asks for one."""

    def __init__(
        self,
        node: Node,
        bench: Bench,
        root: str,
        scripts: str,
        *,
        runs_scripts: bool,
        wake: Callable[[], None],
        reboot: Callable[[str], None],
    ) -> None:
        self._node, self._bench, self._root, self._scripts = node, bench, root, scripts
        self._runs_scripts, self._wake, self._reboot = runs_scripts, wake, reboot
        self._working: Dict[str, _Work] = {}
        self._hosts: Dict[str, LocalHost] = {}
        self._not_before: Dict[str, float] = {}
        self._news = threading.Condition()
        self._changed = True
        self._stopping = False
        node.jobs.changed = self._note
        node.jobs.said = self.said
        node.questions.asked = wake

    def run(self) -> None:
        """Until `stop`. What is at work then goes on, as far as it has a supervisor."""
        while not self._stopping:
            open_ = self._node.jobs.open()
            for taken in open_:
                self._consider(taken)
            for work in list(self._working.values()):
                self._end_early(work)
            with self._news:
                if not self._changed and not self._stopping:
                    self._news.wait(LOOK_SECONDS if any(map(self._unreported, open_)) else None)
                self._changed = False

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._note()

    def idle(self) -> bool:
        """Whether no job has anything left to be done, but for what it said being sent."""
        return not self._working and not any(map(self._unreported, self._node.jobs.open()))

    def longest(self) -> float:
        """Seconds that it may take until all jobs are idle."""
        now = self._node.clock.elapsed()
        limits = [taken.job.envelope.execution_timeout or 0 for taken in self._node.jobs.open()]
        left = [work.deadline - now for work in list(self._working.values())]
        return min(LONGEST, max([0.0, *left, *map(float, limits)]))

    def settled(self, seconds: float) -> bool:
        """After `stop`: whether nothing is at work any more; waits for what no supervisor outlives this agent with."""
        deadline = time.monotonic() + seconds
        for work in list(self._working.values()):
            while work.thread.is_alive() and not self._waits(work.taken) and time.monotonic() < deadline:
                work.thread.join(0.1)
        return not any(work.thread.is_alive() for work in list(self._working.values()))

    def said(self) -> List[Said]:
        """What open jobs have said so far, in the order of their steps."""
        found, open_ = [], self._node.jobs.open()
        self._node.questions.forget_all_but([taken.id for taken in open_])
        for taken in open_:
            ended = self._node.jobs.is_reported(taken.id)
            body = self._body(taken)
            for step in self._said_by(taken, body) if body is not None else ():
                for name in STREAMS:
                    paths = job_run.outputs(self._runs(taken), taken.uid, step, name)
                    if paths:
                        found.append(Said(taken.id, step.name, name, paths, ended))
        return found

    # What is to be done

    def _note(self) -> None:
        with self._news:
            self._changed = True
            self._news.notify_all()

    def _unreported(self, taken: Taken) -> bool:
        return not self._node.jobs.is_reported(taken.id)

    def _consider(self, taken: Taken) -> None:
        now, jobs = self._node.clock.elapsed(), self._node.jobs
        known = taken.id in self._working or not self._unreported(taken)
        if known or self._stopping or now < self._not_before.get(taken.id, 0.0):
            return
        under_way = os.path.isdir(self._runs(taken))
        try:
            body = self._body_or_why(taken)
        except NotUnderstood as error:
            self._never_begun(taken, "Failed", "Unsupported: %s; upgrade it" % error)
            return
        except NotHeld as error:
            if jobs.is_cancelled(taken.id) or now > taken.until:
                self._never_begun(taken, CANCELLED if jobs.is_cancelled(taken.id) else "Failed", str(error))
            return
        if under_way or jobs.is_cancelled(taken.id):
            self._begin(taken, body)
            return
        hold = self._node.leave.holds.in_force(self._node.clock.now())
        if now > taken.until:
            reason = "it was not begun in time" + (": the node is held: %s" % hold.reason if hold else "")
            self._never_begun(taken, TIMED_OUT, reason)
        elif hold is None and len(self._working) < AT_ONCE:
            self._begin(taken, body)

    def _begin(self, taken: Taken, body: Body) -> None:
        limit = taken.job.envelope.execution_timeout
        deadline = self._node.clock.elapsed() + (limit or float("inf"))
        thread = threading.Thread(target=self._work, args=(taken, body, deadline), name=taken.uid, daemon=True)
        self._working[taken.id] = _Work(taken, body, deadline, thread)
        log.log(log.NOTICE, "job %s begins: %s", taken.id, body.document)
        thread.start()

    def _end_early(self, work: _Work) -> None:
        """Have what goes on ended, where the job has to end: a script, or one that brings about a state."""
        if not self._stopped(work.taken, work.deadline):
            return
        from agent.host.executions import cancel_all  # it brings what an agent that waits does not carry

        cancel_all(self._runs(work.taken))

    def _stopped(self, taken: Taken, deadline: float) -> str:
        """The status that a job is to be ended with now; empty while it may go on."""
        if self._node.jobs.is_cancelled(taken.id):
            return CANCELLED
        return TIMED_OUT if self._node.clock.elapsed() > deadline else ""

    # One job

    def _work(self, taken: Taken, body: Body, deadline: float) -> None:
        began = instant(self._node.clock.now())
        try:
            bed = self._bed(taken)
            refused = job_run.refused(body, bed)
            if refused:
                self._tell(taken, body, [], "Failed", refused, began)
                return
            bed = bed._replace(document=self._document(taken, deadline, bed))
            looks = job_run.run(taken.uid, body, bed, self._environment(taken), lambda: self._why(taken, deadline))
            if any(look.problem is not None and look.problem.status == REBOOTING for look in looks):
                self._not_before[taken.id] = self._node.clock.elapsed() + ASK_AGAIN
                self._reboot(taken.uid)
                return
            left_out = any(look.skipped or _cancelled(look) for look in looks)
            status = overall(looks, self._stopped(taken, deadline) if left_out else "")
            looks = [_timed_out(look) if status == TIMED_OUT and _cancelled(look) else look for look in looks]
            self._tell(taken, body, looks, status, _reason(looks, status), began)
        except Exception as error:  # one job must not stop the others
            log.log(log.ERROR, "job %s: %r", taken.id, error)
            self._tell(taken, body, [], "Failed", defect(error), began)
        finally:
            self._working.pop(taken.id, None)
            self._hosts.pop(taken.id, None)
            self._note()

    def _why(self, taken: Taken, deadline: float) -> str:
        status = self._stopped(taken, deadline)
        return {CANCELLED: "the job was cancelled", TIMED_OUT: "the job was out of time"}.get(status, "")

    def _never_begun(self, taken: Taken, status: str, reason: str) -> None:
        self._tell(taken, None, [], status, reason, instant(self._node.clock.now()))

    def _tell(
        self, taken: Taken, body: Optional[Body], looks: List[Look], status: str, reason: str, began: str
    ) -> None:
        """Report a job, for as long as it takes until the disk has the report."""
        if body is not None and not looks:
            looks = [job_run.left_out(step, reason) for step in body.steps]
        steps = {look.step.name: look.step for look in looks}
        runs, times = self._runs(taken), (began, instant(self._node.clock.now()))

        def paths(step: str, stream: str) -> List[str]:
            return job_run.outputs(runs, taken.uid, steps[step], stream)

        report = report_of(self._subject(taken), taken.id, looks, status, reason, times, paths)
        while not (self._stopping or self._kept(taken, report)):
            with self._news:
                self._news.wait(TELL_AGAIN)
        log.log(log.NOTICE, "job %s: %s%s", taken.id, status, ": " + reason if reason else "")
        self._wake()

    def _kept(self, taken: Taken, report: Report) -> bool:
        try:
            seq = self._node.journal.report(report, "", applied=True)
            self._node.jobs.reported(taken.id, seq or 0)
        except OSError as error:
            log.log(log.ERROR, "the report of job %s cannot be kept yet: %s", taken.id, error)
            return False
        return True

    # What it is run with

    def _runs(self, taken: Taken) -> str:
        return os.path.join(self._node.jobs.place(taken.id), "runs")

    def _waits(self, taken: Taken) -> bool:
        host = self._hosts.get(taken.id)
        return host is not None and host.waiting

    def _body(self, taken: Taken) -> Optional[Body]:
        try:
            return self._body_or_why(taken)
        except (NotHeld, NotUnderstood):
            return None

    def _body_or_why(self, taken: Taken) -> Body:
        """Raises NotHeld where it, or a file that it names, is not here yet, NotUnderstood."""
        lacking = self._node.assignments.lacking_of([taken.job.body_digest])
        if lacking:
            raise NotHeld("%s is not on this node" % lacking[0].digest)
        return self._node.assignments.body(taken.job.body_digest)

    def _bed(self, taken: Taken) -> job_run.Bed:
        identity, bench = self._node.identity, self._bench
        runs_scripts, runs = self._runs_scripts, self._runs(taken)
        host = LocalHost(self._root, self._scripts, executions=runs, runs_scripts=runs_scripts, whole=OUTPUT_KEPT)
        self._hosts[taken.id] = host
        held, context = self._held()
        return job_run.Bed(
            host=host,
            journal=self._node.journal,
            boot_id=bench.boot_id,
            context=context or NodeContext(identity.node_name),
            facts=bench.facts(),
            held=held,
            blob=self._node.assignments.objects.read,
            debts=os.path.join(self._node.jobs.place(taken.id), "debts.json"),
            turn=bench.turn,
            downloads=self._downloads(taken),
            keeps_nothing=identity.ephemeral,
            itself=bench.itself,
        )

    def _document(self, taken: Taken, deadline: float, bed: job_run.Bed) -> Document:
        """Documents on this node are compiled by the server that gave the job."""

        def ask(question: Compile) -> Tuple[List[BodyStep], str]:
            answer = self._node.questions.ask(question, lambda: self._why(taken, deadline))
            return answer.steps, answer.problem

        return on_node(bed.host, taken.id, ask)

    def _said_by(self, taken: Taken, body: Body) -> List[BodyStep]:
        """The steps of a job whose output is streamed, also of documents that were found on the way."""
        return job_run.said_by([*body.steps, *self._node.questions.steps(taken.id)])

    def _downloads(self, taken: Taken) -> str:
        """In the job's own place, and so gone with it; a sandbox has it in the sandbox."""
        jobs, sandbox = self._node.jobs, self._root != "/"
        return orchestration.of_job(
            os.path.join(self._bench.orchestration, taken.id) if sandbox else jobs.place(taken.id)
        )

    def _held(self) -> Tuple[List[Body], Optional[NodeContext]]:
        """The bodies of the associations, and the node's context, as far as they can be read."""
        assignments = self._node.assignments
        desired = assignments.desired()
        if desired is None:
            return [], None
        bodies = [self._usable(assignments.body, item.body_digest) for item in desired.assignments.values()]
        context = self._usable(assignments.context, desired.context_digest)
        return [body for body in bodies if body is not None], context

    @staticmethod
    def _usable(read: Callable[[str], _Part], digest: str) -> Optional[_Part]:
        try:
            return read(digest)
        except (NotHeld, NotUnderstood) as error:
            log.log(log.WARNING, "what this node holds is not all known: %s", error)
            return None

    def _environment(self, taken: Taken) -> Dict[str, str]:
        """SSM's names."""
        return {**self._bench.environment(self._node.identity.node_id), "AWS_SSM_COMMAND_ID": taken.id}

    def _subject(self, taken: Taken) -> Subject:
        identity, envelope = self._node.identity, taken.job.envelope
        digest = taken.job.body_digest
        return Subject(
            identity.fleet_id, identity.node_id, self._bench.boot_id, envelope.incarnation, taken.uid, 1, digest, ""
        )


def _cancelled(look: Look) -> bool:
    return look.problem is not None and look.problem.status == CANCELLED


def _timed_out(look: Look) -> Look:
    assert look.problem is not None
    look.problem.status, look.problem.reason = TIMED_OUT, "the job was out of time"
    return look


def _reason(looks: List[Look], status: str) -> str:
    for look in looks:
        if look.problem is not None and look.fails_run and look.problem.status == status:
            return "%s: %s" % (look.step.name, look.problem.reason)
    skipped = [look.skipped for look in looks if look.skipped]
    return skipped[-1] if status != "Success" and skipped else ""
