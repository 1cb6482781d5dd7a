"""The runner's work: take away what left, look at what is due, tell what came of it. One thread.

Everything is derived from what is on disk, so that it goes on after a crash where it was: what was not reported at
its generation is still `Assigned`, what was not taken away still leaves.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from agent import agenda as agendas
from agent import log
from agent.agenda import Agenda
from agent.assignments import Desired, NotUnderstood
from agent.bench import Bench
from agent.claimants import Claimants, claimants
from agent.contract import ephemeral
from agent.contract.canonical import instant
from agent.contract.codec import to_wire
from agent.contract.inputs import ACTIONS
from agent.contract.schedule import BadSchedule
from agent.contract.wire import Assignment, Body, NodeContext
from agent.departures import Departures
from agent.drift import Drift
from agent.node import Node
from agent.objects import NotHeld
from agent.outcome import RunResult
from agent.reports import ASSIGNED, BOOT, DRIFT, INTERVAL, SCHEDULE, Subject
from agent.runner import converge
from agent.standing import Read, Seen, still
from agent.steps.step import REBOOTING, why
from agent.telling import Telling
from agent.watch import Watch

LONGEST_WAIT = 60.0
"""Seconds; the wall clock, which schedules go by, may step meanwhile."""
REBOOTS_WITHIN = 300.0
"""Seconds after which a reboot that was asked for and did not come holds nothing up any more."""


class _Quiet(NamedTuple):
    """A look that found nothing to do: what it depended on besides the node itself, and what it read there."""

    depends: Tuple[Any, ...]
    seen: Seen


class Rounds:
    """Rounds over what the node holds. `lacking` is called when bytes turn out to be lost on disk.

    With a `watch`, what drifts is looked at when it is touched, and not at its interval alone.
    """

    def __init__(
        self,
        node: Node,
        bench: Bench,
        telling: Telling,
        lacking: Callable[[], None],
        watch: Optional[Watch] = None,
    ) -> None:
        self._node, self._bench, self._telling, self._lacking = node, bench, telling, lacking
        self._agenda = Agenda(node.identity.node_id)
        self._departures = Departures(node, bench, telling)
        self._drift = Drift(bench.host, node.clock, watch)
        self._desired: Optional[Desired] = None
        self._bodies: Dict[str, Body] = {}
        self._unusable: Dict[str, str] = {}
        self._context: Optional[NodeContext] = None
        self._claimants: Claimants = claimants(())
        self._facts: Mapping[str, Any] = {}
        self._quiet: Dict[str, _Quiet] = {}
        self.statuses: Dict[str, str] = {}
        self._reboots_until = 0.0

    def run_due(self, stopping: Callable[[], bool]) -> bool:
        """Do everything that is due, ending between two associations when asked to. Whether there was anything."""
        for uid, at in self._drift.touched().items():
            self._agenda.touch(uid, at)
        desired = self._node.assignments.desired()
        self._telling.write_again()
        if desired is None or self._rebooting():
            return False
        if desired != self._desired:
            self._adopt(desired)
        leaving, due = self._departures.due(desired), self._due(desired)
        if leaving or due:
            self._facts = self._bench.facts()
        for uid in leaving:
            if not stopping():
                self._departures.take_away(uid, desired, self._claimants)
        for uid in due:
            if not stopping() and not self._rebooting():
                self._look(uid, desired.assignments[uid], desired)
        return bool(leaving or due)

    def foreseen(self) -> Dict[str, RunResult]:
        """What a look at everything held finds, by association: nothing is changed, told or remembered."""
        desired = self._node.assignments.desired()
        if desired is None:
            return {}
        self._read_parts(desired)
        self._facts = self._bench.facts()
        found = {}
        for uid, item in desired.assignments.items():
            taken = self._node.journal.instant(uid)
            run_instant = taken.text if taken is not None and taken.generation == item.generation else ""
            found[uid] = self._converged(self._subject(uid, item, desired), ASSIGNED, run_instant, False)
        return found

    def wait(self) -> float:
        """Seconds until something is due."""
        clock = self._node.clock
        if self._rebooting():
            return self._reboots_until - clock.elapsed()
        times = [LONGEST_WAIT]
        coming = [self._agenda.next_look()]
        if self._desired is not None:
            coming.append(self._departures.next_try(self._desired))
        times += [at - clock.elapsed() for at in coming if at is not None]
        now = clock.now()
        # An instant that has passed waits for the gate, which is asked at the next look.
        times += [(at - now) / 1000 for at in map(self._next_instant, self._bodies) if at is not None and at > now]
        return max(0.0, min(times))

    def checked_at(self) -> Optional[int]:
        """The Unix milliseconds since which everything held has been looked at; None while something has not been."""
        since, clock = self._agenda.all_looked_since(), self._node.clock
        return None if since is None else clock.now() - int((clock.elapsed() - since) * 1000)

    # Rebooting

    def _reboot(self, uid: str) -> None:
        """Ask for the reboot that a script asked for; nothing else is begun while it comes."""
        log.log(log.NOTICE, "%s asks for a reboot (exit 194)", uid)
        try:
            self._bench.host.reboot()
        except OSError as error:
            log.log(log.ERROR, "no reboot, the next look asks again: %s", error)
        else:
            self._reboots_until = self._node.clock.elapsed() + REBOOTS_WITHIN

    def _rebooting(self) -> bool:
        return self._node.clock.elapsed() < self._reboots_until

    # What is held

    def _adopt(self, desired: Desired) -> None:
        self._agenda.adopt(desired.assignments, desired.context_digest, desired.interval, self._node.clock.elapsed())
        self._desired = desired
        self._read_parts(desired)
        self._telling.forget([*desired.assignments, *desired.removing])
        self.statuses = {uid: status for uid, status in self.statuses.items() if uid in desired.assignments}
        self._node.assignments.sweep()

    def _read_parts(self, desired: Desired) -> None:
        """Bodies and context as values; of what cannot be read, why."""
        self._bodies, self._unusable, self._context = {}, {}, None
        try:
            self._context = self._node.assignments.context(desired.context_digest)
        except (NotHeld, NotUnderstood) as error:
            self._unusable = {uid: str(error) for uid in desired.assignments}
            self._lacking()
        for uid, item in desired.assignments.items():
            self._read_body(uid, item.body_digest)
        self._claimants = claimants(self._bodies.values())
        self._drift.over(self._bodies, desired.interval)

    def _read_body(self, uid: str, digest: str) -> None:
        try:
            body = self._node.assignments.body(digest)
        except NotUnderstood as error:
            self._unusable[uid] = "Unsupported: %s; upgrade it" % error
        except NotHeld as error:
            self._unusable[uid] = str(error)
            self._lacking()
        else:
            refused = ephemeral.refusal(to_wire(body)) if self._node.identity.ephemeral else ""
            if body.uid != uid:
                self._unusable[uid] = "its body is that of %s" % body.uid
            elif refused:
                self._unusable[uid] = "%s: %s" % (ephemeral.WORD, refused)
            else:
                self._bodies[uid] = body

    def _due(self, desired: Desired) -> List[str]:
        """What is due by its interval, then what its schedule alone asks for."""
        due = self._agenda.due(self._node.clock.elapsed())
        now = self._node.clock.now()
        for uid in sorted(set(self._bodies).difference(due)):
            at = self._next_instant(uid)
            if at is not None and at <= now and self._may_change(desired.assignments[uid], desired):
                due.append(uid)
        return due

    def _next_instant(self, uid: str) -> Optional[int]:
        return agendas.next_instant(_schedule(self._bodies[uid]), self._node.journal.instant(uid))

    def _may_change(self, item: Assignment, desired: Desired) -> bool:
        """Whether the gate lets the node act now; else it only looks."""
        in_touch = self._node.contact.in_touch(desired.expires_in)
        return in_touch and item.permit == "none" and agendas.allowed(item.allowed, self._node.clock.now())

    # Looking

    def _look(self, uid: str, item: Assignment, desired: Desired) -> None:
        subject = self._subject(uid, item, desired)
        if uid in self._unusable:
            self._read_parts(desired)  # it may have been fetched again
        may_change = self._may_change(item, desired) and uid not in self._unusable
        if self._still_quiet(subject, may_change):
            self._looked(uid, news=False, failed=False)
            return
        try:
            run_instant, scheduled = self._run_instant(uid, item.generation, may_change)
        except OSError as error:  # without a journal nothing is run
            log.log(log.ERROR, "%s is not looked at: the journal cannot be written: %s", uid, error)
            self._agenda.looked(uid, self._node.clock.elapsed())
            return
        cause, seen = self._cause(subject, scheduled), Seen()
        if cause == ASSIGNED:
            self._drift.begin(uid)
        found = self._converged(subject, cause, run_instant, may_change, seen)
        result = self._drift.seen(uid, found, cause != ASSIGNED)
        self.statuses[uid] = result.status
        before = self._node.journal.last_seq()
        if result.status == REBOOTING:
            self._telling.waits(subject, result)
            self._reboot(uid)
        elif self._telling.tell(subject, result, cause, may_change) and self._quiet_now(uid, result, seen):
            self._quiet[uid] = _Quiet(self._depends(subject, may_change), seen)
        self._looked(uid, news=self._node.journal.last_seq() != before, failed=result.status == "Failed")

    def _looked(self, uid: str, *, news: bool, failed: bool) -> None:
        self._agenda.looked(uid, self._node.clock.elapsed())
        again = self._drift.looked(uid, news=news, failed=failed)
        if again is not None:
            self._agenda.touch(uid, again)

    # Looks that need not be taken in full

    def _quiet_now(self, uid: str, result: RunResult, seen: Seen) -> bool:
        """Whether the same reads will come to the same: all is well, nothing is run, nothing is fought over."""
        if not (seen.repeatable and result.quiet):
            return False
        steps = self._bodies[uid].steps
        held = all(step.action in ACTIONS and ACTIONS[step.action].declarative for step in steps)
        return held and not self._drift.fought_over(uid)

    def _still_quiet(self, subject: Subject, may_change: bool) -> bool:
        """Whether the last look found nothing to do, and would read now what it read then."""
        known = self._quiet.pop(subject.uid, None)
        if known is None or subject.uid not in self._bodies or known.depends != self._depends(subject, may_change):
            return False
        if not still(self._bench.host, known.seen.reads):
            return False
        self._quiet[subject.uid] = known
        return True

    def _depends(self, subject: Subject, may_change: bool) -> Tuple[Any, ...]:
        facts = self._facts if self._templated(subject.uid) else None
        return (subject, may_change, self._node.journal.last_reported(subject.uid), self._claimants, facts)

    def _templated(self, uid: str) -> bool:
        return any(step.inputs.get("template") for step in self._bodies[uid].steps)

    def quiet_reads(self) -> Optional[Dict[Read, Any]]:
        """What the last pass over everything read; None where other things than reads may give the next one work."""
        desired = self._desired
        if desired is None or desired.removing or set(self._quiet) != set(desired.assignments):
            return None
        if any(not known.depends[1] or self._templated(uid) for uid, known in self._quiet.items()):
            return None
        return {read: given for known in self._quiet.values() for read, given in known.seen.reads.items()}

    def _subject(self, uid: str, item: Assignment, desired: Desired) -> Subject:
        return Subject(
            fleet_id=self._node.identity.fleet_id,
            node_id=self._node.identity.node_id,
            boot_id=self._bench.boot_id,
            incarnation=desired.position.incarnation,
            uid=uid,
            generation=item.generation,
            body_digest=item.body_digest,
            context_digest=desired.context_digest,
        )

    def _cause(self, subject: Subject, scheduled: bool) -> str:
        told = self._node.journal.last_reported(subject.uid)
        version = (subject.generation, subject.body_digest, subject.context_digest)
        if told is None or not told.applied or told[:3] != version:
            return ASSIGNED
        if scheduled:
            return SCHEDULE
        if subject.uid not in self.statuses:
            return BOOT
        return DRIFT if self._agenda.only_touched(subject.uid, self._node.clock.elapsed()) else INTERVAL

    def _converged(
        self, subject: Subject, cause: str, run_instant: str, may_change: bool, seen: Optional[Seen] = None
    ) -> RunResult:
        reason = self._unusable.get(subject.uid)
        if reason is None and self._context is not None:
            try:
                return converge(
                    self._bench.host,
                    self._bodies[subject.uid],
                    self._context,
                    self._facts,
                    self._node.journal,
                    self._bench.ledger,
                    generation=subject.generation,
                    cause=cause,
                    run_instant=run_instant,
                    boot_id=subject.boot_id,
                    blob=self._blob,
                    apply=may_change,
                    environment=self._environment(),
                    claimants=self._claimants,
                    left_alone=self._drift.left_alone(subject.uid),
                    seen=seen,
                )
            except OSError as error:
                log.log(log.ERROR, "%s: %s", subject.uid, error)
                reason = "the agent's own state cannot be kept: %s" % why(error)
            except Exception as error:  # one association must not stop the others
                log.log(log.ERROR, "%s: %r", subject.uid, error)
                reason = "a defect in opsctl: %s: %s" % (type(error).__name__, error)
        now = instant(self._node.clock.now())
        return RunResult("Failed", [], now, now, reason)

    def _run_instant(self, uid: str, generation: int, may_change: bool) -> Tuple[str, bool]:
        """The run that the association's scripts are at, and whether its schedule has just asked for it.

        It is in the journal before it is used: a crash meanwhile makes no second run of it.
        """
        expression = _schedule(self._bodies[uid]) if uid in self._bodies else None
        if expression is None:
            return "", False
        journal, now = self._node.journal, self._node.clock.now()
        taken = journal.instant(uid)
        if taken is None or taken.generation != generation:
            if may_change:
                journal.take_instant(uid, agendas.first_instant(generation, now))
            return "", False
        try:
            due = agendas.due_instant(expression, taken, now) if may_change else None
        except BadSchedule as error:
            log.log(log.WARNING, "%s: %s", uid, error)
            return taken.text, False
        if due is None:
            return taken.text, False
        journal.take_instant(uid, due)
        return due.text, due.text != taken.text

    def _blob(self, digest: str) -> bytes:
        try:
            return self._node.assignments.objects.read(digest)
        except NotHeld:
            self._lacking()
            raise

    def _environment(self) -> Dict[str, str]:
        """The names that SSM gives scripts, as far as they mean something here."""
        return {
            "AWS_SSM_INSTANCE_ID": self._node.identity.node_id,
            "AWS_SSM_PLATFORM_TYPE": self._bench.host.platform,
            "AWS_SSM_PLATFORM_NAME": str(self._facts.get("osName") or ""),
            "AWS_SSM_PLATFORM_VERSION": str(self._facts.get("osVersion") or ""),
        }


def _schedule(body: Body) -> Optional[str]:
    """A body's schedule where it has something that is run rather than held."""
    runs = any(step.action in ACTIONS and not ACTIONS[step.action].declarative for step in body.steps)
    return body.schedule if runs else None
