"""Looks that need not be taken in full: the last one found nothing to do, and what it went by is as it was.

What it read of the node is read again, all of it (`agent.rounds.standing`); what else it went by is compared.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping, Optional

from agent.contract.record import NamedTuple
from agent.contract.wire import Body
from agent.host.port import Host
from agent.rounds.claimants import Claimants
from agent.rounds.look import is_run
from agent.rounds.outcome import RunResult
from agent.rounds.reports import Subject
from agent.rounds.standing import Read, Seen, still
from agent.state.journal import Reported


class Grounds(NamedTuple):
    """What a look goes by besides the node itself.

    `body` is None where it cannot be used; `reported` is what was last told; `facts` are None where there is no
    template that could name them.
    """

    subject: Subject
    body: Optional[Body]
    may_change: bool
    reported: Optional[Reported]
    claimants: Claimants
    facts: Optional[Mapping[str, Any]]


class _Look(NamedTuple):
    """One that found nothing to do."""

    grounds: Grounds
    reads: Dict[Read, Any]


class Quiet:
    """The last look at each association, where it found nothing to do."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._looks: Dict[str, _Look] = {}

    def note(self, grounds: Grounds, result: RunResult, seen: Seen) -> None:
        """Keep a look, where the same reads will come to the same: all is well, and nothing is run."""
        body = grounds.body
        if body is not None and seen.repeatable and result.quiet and not any(map(is_run, body.steps)):
            self._looks[grounds.subject.uid] = _Look(grounds, seen.reads)

    def still(self, grounds: Grounds) -> bool:
        """Whether the last look found nothing to do, and would go by and read now what it did then; else forget it."""
        last = self._looks.pop(grounds.subject.uid, None)
        if last is None or last.grounds != grounds or not still(self._host, last.reads):
            return False
        self._looks[grounds.subject.uid] = last
        return True

    def reads(self, held: Iterable[str]) -> Optional[Dict[Read, Any]]:
        """What the last looks at all of these associations read.

        None where one of them found something to do, or where other things than reads may give the next one work.
        """
        looks = self._looks.values()
        if set(self._looks) != set(held) or not all(look.grounds.may_change for look in looks):
            return None
        if any(look.grounds.facts is not None for look in looks):
            return None
        return {read: given for look in looks for read, given in look.reads.items()}
