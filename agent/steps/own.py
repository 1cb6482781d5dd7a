"""What the agent does itself, once per generation or instant: no script, and no state that is held.

It only reads, or asks what may be asked again: a run that was cut off is done again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, List

from agent.host.port import Host
from agent.steps.run import Observed, of_run, to_be_run
from agent.steps.step import Applied, Change, Given


class OwnRun(ABC):
    """One run."""

    @abstractmethod
    def shown(self, desired: Any) -> List[str]:
        """What people are shown of it. Pure."""

    def observe(self, host: Host, desired: Any, given: Given) -> Observed:
        del host, desired
        cut_off = given.recalled is not None and given.recalled[0] == "started"
        return Observed(None) if cut_off else of_run(given)

    def changes(self, desired: Any, observed: Observed, given: Given) -> List[Change]:
        return [] if observed.rc is not None else to_be_run(given, self.shown(desired))

    @abstractmethod
    def apply(self, host: Host, desired: Any, changes: List[Change], given: Given) -> Applied:
        """Does it."""
