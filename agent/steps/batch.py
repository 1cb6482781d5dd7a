"""Adjacent steps of one action done together: each in turn, and what they touched synced once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, List, Optional, Sequence, Set

from agent.host.port import Host
from agent.steps.step import Applied, Change, Given, Planned, StepFailed, why


class DoneInBatches(ABC):
    """What every step of this kind does alike: by itself it is a batch of one."""

    @abstractmethod
    def apply_all(self, host: Host, batch: Sequence[Planned], begin: Callable[[], None]) -> List[Optional[StepFailed]]:
        """As `BatchStep` has it."""

    def apply(self, host: Host, desired: Any, changes: List[Change], given: Given) -> Applied:
        (failure,) = self.apply_all(host, [Planned(desired, changes, given, True)], lambda: None)
        if failure:
            raise failure
        return Applied()


def tried(batch: Sequence[Planned], do: Callable[[Planned], None]) -> List[Optional[StepFailed]]:
    """One result for each step, up to the first failure that ends the rest."""
    results: List[Optional[StepFailed]] = []
    for planned in batch:
        failure = None
        try:
            do(planned)
        except StepFailed as error:
            failure = error
        except OSError as error:
            failure = StepFailed(why(error))
            failure.__cause__ = error
        results.append(failure)
        if failure and planned.ends:
            break
    return results


def in_turn(
    host: Host, batch: Sequence[Planned], begin: Callable[[], None], do: Callable[[Planned, Set[str]], None]
) -> List[Optional[StepFailed]]:
    """`do` adds the directories that it changes names in."""
    touched: Set[str] = set()
    begin()
    results = tried(batch, lambda planned: do(planned, touched))
    host.sync_many((), sorted(touched))
    return results
