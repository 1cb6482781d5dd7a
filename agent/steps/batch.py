"""Adjacent steps of one action done together: each in turn, and what they touched synced once."""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence, Set

from agent.host.port import Host
from agent.steps.step import Planned, StepFailed, why


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
