"""What is run rather than held: once per generation or instant, by what the journal says of it.

It is compliant when that run ended well. A run that was begun and never ended is not begun again by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, List, Optional

from agent.contract.claims import Claim
from agent.contract.record import dataclass
from agent.host.port import Host, Ran
from agent.steps.diff import bounded
from agent.steps.execution import (
    REBOOT,
    SUCCESS_AND_EXIT,
    downloaded,
    ending,
    in_time,
    run_lines,
    stage_lines,
    transcript,
)
from agent.steps.step import Applied, Change, Given, Interrupted, RebootWanted, StepFailed

ENDED_WELL = (0, SUCCESS_AND_EXIT)
TIME = 3600
"""Seconds that a run may take where its inputs do not say."""


@dataclass(frozen=True)
class Observed:
    """The exit code of the run, None before it."""

    rc: Optional[int]


class ScriptRun(ABC):
    """One run of a script. What it is made of is for each action to say."""

    @abstractmethod
    def lines(self, host: Host, desired: Any, given: Given) -> List[str]:
        """The script. May raise `StepFailed` where the node lacks what it needs; nothing has begun then."""

    @abstractmethod
    def shown(self, desired: Any) -> List[str]:
        """What people are shown of it, before it is known which node it is for. Pure."""

    def directory(self, desired: Any) -> Optional[str]:
        """Where it runs."""
        del desired
        return None

    def time(self, desired: Any) -> int:
        """Seconds that it may take."""
        del desired
        return TIME

    def observe(self, host: Host, desired: Any, given: Given) -> Observed:
        del host, desired
        return of_run(given)

    def changes(self, desired: Any, observed: Observed, given: Given) -> List[Change]:
        return [] if observed.rc is not None else self.underway(desired, given)

    def stage(self, host: Host, desired: Any, given: Given) -> None:
        stage_lines(host, self.lines(host, desired, given), given)

    def apply(self, host: Host, desired: Any, changes: List[Change], given: Given) -> Applied:
        del changes
        lines, time = self.lines(host, desired, given), self.time(desired)
        directory = self.directory(desired) or downloaded(host, given)
        return self.outcome(desired, run_lines(host, lines, directory, time, given))

    def outcome(self, desired: Any, ran: Ran) -> Applied:
        in_time(ran, self.time(desired))
        if ran.rc == REBOOT:
            raise RebootWanted(ran.rc, transcript(ran))
        if ran.rc not in ENDED_WELL:
            raise StepFailed(ending(ran), rc=ran.rc, output=transcript(ran))
        return Applied(transcript(ran), ran.rc)

    def underway(self, desired: Any, given: Given) -> List[Change]:
        return to_be_run(given, self.shown(desired))


def of_run(given: Given) -> Observed:
    """What the journal says of the run. Raises `StepFailed` where it did not end well, or goes on after a reboot."""
    if given.recalled is None:
        return Observed(None)
    if len(given.recalled) == 2:
        raise RebootWanted(REBOOT) if given.recalled[0] == "rebooting" else Interrupted
    _, rc, status = given.recalled
    if status == "Interrupted":
        raise Interrupted
    if status == "Success":
        return Observed(rc)
    raise StepFailed("its run ended with %s" % _ended(rc, status), rc=rc, status=status)


def to_be_run(given: Given, shown: List[str]) -> List[Change]:
    """The one change that a run is."""
    return [Change(Claim("script", given.step), "not run", "run, exit 0", bounded(["+ " + line for line in shown]))]


def _ended(rc: int, status: str) -> str:
    if status == "TimedOut":
        return "its time"
    return "exit %d" % rc if rc >= 0 else "signal %d" % -rc
