# ruff: noqa: UP031 -- the oldest Python of the agent runs it
"""Passes of an agent that is running already: PROGRAM STATE PASSES; prints seconds and CPU seconds per pass."""

import sys
import time

sys.path.insert(0, sys.argv[1])

from agent import offline
from agent.clock import SystemClock


class Hours(SystemClock):
    """A clock that lets everything be due at each pass."""

    passes = 0

    def elapsed(self) -> float:
        return super().elapsed() + 3600.0 * self.passes


def main() -> None:
    """The first pass, which a running agent has behind it, is not counted."""
    clock, passes = Hours(), int(sys.argv[3])
    with offline.rounds(sys.argv[2], "/", False, clock) as rounds:
        rounds.run_due(lambda: False)
        started, burnt = time.perf_counter(), time.process_time()
        for _ in range(passes):
            clock.passes += 1
            if not rounds.run_due(lambda: False):
                sys.exit("nothing was due")
        taken = (time.perf_counter() - started) / passes, (time.process_time() - burnt) / passes
        if set(rounds.statuses.values()) != {"Success"}:
            sys.exit("a pass did not succeed: %s" % rounds.statuses)
    sys.stdout.write("%.9f %.9f\n" % taken)


if __name__ == "__main__":
    main()
