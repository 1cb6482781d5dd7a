"""What is told of each look: to the server through the journal, to people on the node through `status`."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Dict, Iterable, List, Optional

from agent import log
from agent.contract.causes import REMOVED
from agent.contract.wire import Report
from agent.rounds.outcome import RunResult
from agent.rounds.reports import Subject, content_of, report_of, worth_keeping
from agent.state.node import Node
from agent.state.status import StatusFile

PROBLEMS_SHOWN = 20


class Telling:
    """Keeps reports that say something new. `wake` says that one waits to be sent."""

    def __init__(self, node: Node, results: StatusFile, wake: Callable[[], None]) -> None:
        self._node, self._results, self.wake = node, results, wake
        self._shown: Dict[str, Any] = results.last()

    def tell(
        self, subject: Subject, result: RunResult, cause: str, applied: bool, run_instant: Optional[str] = None
    ) -> bool:
        """Report a look where it says something new; False where the report could not be kept.

        `applied` says whether the node was allowed to change; `run_instant` returns a permit.
        """
        report = report_of(subject, result, cause, self._node.clock.elapsed(), run_instant)
        content = "" if cause == REMOVED else content_of(report)
        if not worth_keeping(report, content, applied, self._node.journal.last_reported(subject.uid)):
            return True
        try:
            seq = self._node.journal.report(report, content, applied)
        except (OSError, ValueError) as error:
            log.log(log.ERROR, "the report on %s cannot be kept, the next look tries again: %s", subject.uid, error)
            return False
        if seq is None:
            log.log(log.WARNING, "the report on %s waits in memory until the disk takes it", subject.uid)
        self._say(report, seq)
        self.wake()
        return True

    def write_again(self) -> None:
        """What the disk did not take is tried again."""
        if self._node.journal.write_again():
            self.wake()

    def waits(self, subject: Subject, result: RunResult) -> None:
        """Show what is not the last word of a run, and is no report."""
        shown = {"generation": subject.generation, "status": result.status, "at": result.finished_at}
        self._show({**self._shown, subject.uid: {**shown, "problems": [], "reason": result.reason or ""}})

    def forget(self, held: Iterable[str]) -> None:
        """Show nothing more of associations that are not held."""
        kept = set(held)
        self._show({uid: value for uid, value in self._shown.items() if uid in kept})

    def _say(self, report: Report, seq: Optional[int]) -> None:
        counts = Counter(claim.outcome for claim in report.claims)
        summary = ", ".join("%d %s" % (count, outcome) for outcome, count in sorted(counts.items()))
        level = log.WARNING if report.status == "Failed" else log.INFO
        log.log(
            level,
            "%s generation %d: %s (%s)%s",
            report.uid,
            report.generation,
            report.status,
            ", ".join(part for part in (report.cause, summary) if part),
            ": " + report.reason if report.reason else "",
        )
        shown = {uid: value for uid, value in self._shown.items() if uid != report.uid}
        if report.cause != REMOVED:
            shown[report.uid] = {
                "seq": seq,
                "generation": report.generation,
                "status": report.status,
                "cause": report.cause,
                "at": report.finished_at,
                "outcomes": dict(counts),
                "problems": _problems(report),
                "reason": report.reason or "",
            }
        self._show(shown)

    def _show(self, shown: Dict[str, Any]) -> None:
        self._shown = shown
        self._results.write(shown)


def _problems(report: Report) -> List[Dict[str, str]]:
    """What is not as it should be, or is fought over, as far as it is shown."""
    wrong = [claim for claim in report.claims if claim.outcome not in ("Changed", "Unchanged") or claim.reason]
    return [
        {"claim": claim.claim, "outcome": claim.outcome, "reason": claim.reason or ""}
        for claim in wrong[:PROBLEMS_SHOWN]
    ]
