"""The runner's work: take away what left, look at what is due, tell what came of it. One thread.

Everything is derived from what is on disk, so that it goes on after a crash where it was: what was not reported at
its generation is still `Assigned`, what was not taken away still leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, Iterator, List, Mapping, Optional

from agent import log
from agent.contract.canonical import instant, milliseconds
from agent.contract.causes import ASSIGNED, BOOT, DRIFT, INTERVAL, SCHEDULE
from agent.contract.wire import Assignment
from agent.rounds import orchestration
from agent.rounds.agenda import NO_TURN, Agenda, allowed
from agent.rounds.bench import Bench
from agent.rounds.departures import Departures
from agent.rounds.drift import Drift
from agent.rounds.heals import Heals
from agent.rounds.holdings import Holdings
from agent.rounds.outcome import RunResult, failed
from agent.rounds.quiet import Grounds, Quiet
from agent.rounds.refreshes import Refreshes
from agent.rounds.reports import Subject, subject_of
from agent.rounds.runner import FORESEEN, converge
from agent.rounds.standing import Read, Seen
from agent.rounds.telling import Telling
from agent.rounds.turns import Turns
from agent.state.assignments import Desired
from agent.state.node import Node
from agent.steps.step import REBOOTING, defect, why

if TYPE_CHECKING:  # what only serves is not imported by a pass
    from agent.watch.watch import Watch

HEALING = (BOOT, INTERVAL, DRIFT)
"""Causes of looks that put right what differs, and nothing that is new."""
LONGEST_WAIT = 60.0
"""Seconds; the wall clock, which schedules go by, may step meanwhile."""
REBOOTS_WITHIN = 300.0
"""Seconds after which a reboot that was asked for and did not come holds nothing up any more."""


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
        refreshes: Optional[Refreshes] = None,
    ) -> None:
        self._node, self._bench, self._telling = node, bench, telling
        self._agenda = Agenda(node.identity.node_id)
        self._turns = Turns(node, telling.wake)
        self._departures = Departures(node, bench, telling)
        self._drift = Drift(bench.host, node.clock, watch)
        self._heals = Heals()
        self._quiet = Quiet(bench.host)
        self._held = Holdings(node, lacking)
        self._desired: Optional[Desired] = None
        self._facts: Mapping[str, Any] = {}
        self._kept_from = ""
        self.statuses: Dict[str, str] = {}
        self._reboots_until = 0.0
        self._refreshes = refreshes
        self._refreshed: FrozenSet[str] = frozenset()

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
        self._note_leave(desired)
        leaving, due = self._departures.due(desired), self._due(desired)
        if leaving or due:
            self._facts = self._bench.facts()
        for uid in leaving:
            if not stopping():
                with self._bench.turn:
                    self._departures.take_away(uid, desired, self._held.claimants)
        for uid in due:
            if not stopping() and not self._rebooting():
                with self._bench.turn:
                    self._look(uid, desired.assignments[uid], desired)
        return bool(leaving or due)

    def foreseen(self) -> Dict[str, RunResult]:
        """What a look at everything held finds, by association: nothing is changed, told or remembered."""
        desired = self._node.assignments.desired()
        if desired is None:
            return {}
        self._read(desired)
        self._facts = self._bench.facts()
        found = {}
        for uid, item in desired.assignments.items():
            run_instant = self._turns.current(uid, item)
            found[uid] = self._converged(self._subject(uid, desired), FORESEEN, run_instant, False)
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
        # An instant that has passed waits for leave or a permit, and is looked at again when there is one.
        now = clock.now()
        times += [(at - now) / 1000 for at in self._instants() if at > now]
        return max(0.0, min(times))

    def checked_at(self) -> Optional[int]:
        """The Unix milliseconds since which everything held has been looked at; None while something has not been."""
        since, clock = self._agenda.all_looked_since(), self._node.clock
        return None if since is None else clock.now() - int((clock.elapsed() - since) * 1000)

    def quiet_reads(self) -> Optional[Dict[Read, Any]]:
        """What the last pass over everything read; None where other things than reads may give the next one work."""
        desired = self._desired
        return None if desired is None or desired.removing else self._quiet.reads(desired.assignments)

    # Rebooting

    def reboot(self, uid: str) -> None:
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
        self._read(desired)
        self._telling.forget([*desired.assignments, *desired.removing])
        self._node.leave.permits.forget_all_but(desired.assignments)
        self.statuses = {uid: status for uid, status in self.statuses.items() if uid in desired.assignments}
        self._node.assignments.sweep()

    def _read(self, desired: Desired) -> None:
        self._held.read(desired)
        self._drift.over(self._held.bodies, desired.interval)

    # What is due

    def _due(self, desired: Desired) -> List[str]:
        """What is due by its interval, then what its schedule or a permit alone asks for."""
        due = self._agenda.due(self._node.clock.elapsed())
        self._refreshed = self._refreshes.take() if self._refreshes is not None else frozenset()
        due += sorted(self._refreshed.intersection(desired.assignments).difference(due))
        for uid in sorted(set(self._held.bodies).difference(due)):
            item = desired.assignments[uid]
            if not self._objection(item, desired):
                turn = self._turns.next(uid, item, self._held.schedule(uid))
                if turn.take is not None:
                    due.append(uid)
        return due

    def _note_leave(self, desired: Desired) -> None:
        """Where the node may act again, everything is looked at soon."""
        objection = self._node.leave.objection(desired.expires_in)
        if self._kept_from and not objection:
            self._agenda.hurry(self._node.clock.elapsed())
        self._kept_from = objection

    def _instants(self) -> Iterator[int]:
        """What comes next on the wall's clock, in Unix milliseconds: runs of schedules, the end of a hold."""
        assignments = self._desired.assignments if self._desired is not None else {}
        for uid, item in assignments.items():
            at = self._turns.next_instant(uid, item, self._held.schedule(uid))
            if at is not None:
                yield at
        hold = self._node.leave.holds.in_force(self._node.clock.now())
        if hold is not None and hold.until is not None:
            yield milliseconds(hold.until)

    def _objection(self, item: Assignment, desired: Desired) -> str:
        """Why the node may only look now; empty where it may act."""
        objection = self._node.leave.objection(desired.expires_in)
        if not objection and not allowed(item.allowed, self._node.clock.now()):
            return "no change is allowed now: the node only monitors"
        return objection

    # Looking

    def _look(self, uid: str, item: Assignment, desired: Desired) -> None:
        subject = self._subject(uid, desired)
        if uid in self._held.unusable:
            self._read(desired)  # it may have been fetched again
        objection = self._objection(item, desired) or self._held.unusable.get(uid, "")
        refreshed = uid in self._refreshed
        turn = NO_TURN if objection else self._turns.next(uid, item, self._held.schedule(uid))
        if refreshed and not objection and turn.take is None and self._runs_again(uid, item):
            turn = self._turns.now(item)
        first_is_awaited = turn.ask is not None and not turn.ask.text  # a word on it would say that it has begun
        still_quiet = turn.take is None and not refreshed
        if first_is_awaited or (still_quiet and self._quiet.still(self._grounds(subject, not objection))):
            self._looked(uid, news=False, failed=False)
            return
        try:
            run_instant, scheduled = self._turns.take(uid, item, turn)
        except OSError as error:  # without a journal nothing is run
            log.log(log.ERROR, "%s is not looked at: the journal cannot be written: %s", uid, error)
            self._agenda.looked(uid, self._node.clock.elapsed())
            return
        self._look_in_full(subject, item, run_instant, scheduled, objection)

    def _look_in_full(
        self, subject: Subject, item: Assignment, run_instant: str, scheduled: bool, objection: str
    ) -> None:
        uid, elapsed, may_change = subject.uid, self._node.clock.elapsed(), not objection
        cause, seen = self._cause(subject, scheduled), Seen()
        if cause == ASSIGNED:
            self._drift.begin(uid)
        if may_change and cause in HEALING:
            objection = self._heals.objection(uid, item.heals, elapsed)
        found = self._converged(subject, cause, run_instant, not objection, seen)
        result = self._drift.seen(uid, found, cause != ASSIGNED)
        if result.changed and cause in HEALING:
            self._heals.healed(uid, elapsed)
        result = self._explained(uid, item, result, objection)
        self.statuses[uid] = result.status
        before = self._node.journal.last_seq()
        if result.status == REBOOTING:
            self._telling.waits(subject, result)
            self.reboot(uid)
        elif self._told(subject, result, cause, not objection) and not self._drift.fought_over(uid):
            self._quiet.note(self._grounds(subject, may_change), result, seen)
        self._looked(uid, news=self._node.journal.last_seq() != before, failed=result.status == "Failed")

    def _explained(self, uid: str, item: Assignment, result: RunResult, objection: str) -> RunResult:
        """What a look found, with the reason why it was left so, or why a run was not made."""
        over = self._node.leave.permits.given_up(uid, item.generation)
        if over is not None and result.status == "Success":
            return result._replace(status="Cancelled", reason=over.reason)
        if objection and result.reason is None and any(claim.outcome == "Drifted" for claim in result.claims):
            return result._replace(reason=objection)
        return result

    def _told(self, subject: Subject, result: RunResult, cause: str, acted: bool) -> bool:
        """Report the look. What was applied once stays so, though the node may only look afterwards."""
        permits = self._node.leave.permits
        run_instant = permits.begun(subject.uid, subject.generation)
        told = self._telling.tell(subject, result, cause, acted or cause != ASSIGNED, run_instant)
        if told and run_instant is not None:
            permits.returned(subject.uid)
        return told

    def _runs_again(self, uid: str, item: Assignment) -> bool:
        return self._refreshes is not None and self._refreshes.runs_again(uid, item)

    def _looked(self, uid: str, *, news: bool, failed: bool) -> None:
        self._agenda.looked(uid, self._node.clock.elapsed())
        again = self._drift.looked(uid, news=news, failed=failed)
        if again is not None:
            self._agenda.touch(uid, again)

    def _grounds(self, subject: Subject, may_change: bool) -> Grounds:
        held, uid = self._held, subject.uid
        reported = self._node.journal.last_reported(uid)
        facts = self._facts if held.templated(uid) else None
        return Grounds(subject, held.bodies.get(uid), may_change, reported, held.claimants, facts)

    def _subject(self, uid: str, desired: Desired) -> Subject:
        return subject_of(self._node.identity, self._bench.boot_id, desired, uid)

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
        reason, context = self._held.unusable.get(subject.uid, ""), self._held.context
        bench = self._bench
        downloads = orchestration.of_run(bench.orchestration, subject.uid, subject.generation, run_instant)
        if context is not None and not reason:
            try:
                result = converge(
                    bench.host,
                    self._held.bodies[subject.uid],
                    context,
                    self._facts,
                    self._node.journal,
                    bench.ledger,
                    generation=subject.generation,
                    cause=cause,
                    run_instant=run_instant,
                    boot_id=subject.boot_id,
                    blob=self._held.blob,
                    apply=may_change,
                    environment=bench.environment(self._node.identity.node_id, self._facts),
                    claimants=self._held.claimants,
                    left_alone=self._drift.left_alone(subject.uid),
                    seen=seen,
                    render=bench.render,
                    downloads=downloads,
                    itself=bench.itself,
                )
                if result.changed:
                    orchestration.forget_earlier(bench.host, downloads)
                return result
            except OSError as error:
                log.log(log.ERROR, "%s: %s", subject.uid, error)
                reason = "the agent's own state cannot be kept: %s" % why(error)
            except Exception as error:  # one association must not stop the others
                log.log(log.ERROR, "%s: %r", subject.uid, error)
                reason = defect(error)
        return failed(instant(self._node.clock.now()), reason)
