"""What made the agent look at an association, as its report says it: the words of `Report.cause`."""

from __future__ import annotations

ASSIGNED = "Assigned"
"""The first look at a new generation: the one that `ApplyAndMonitor` may act on."""
BOOT = "Boot"
"""The first look of an agent that has just started."""
INTERVAL = "Interval"
SCHEDULE = "Schedule"
"""The association's schedule asks for a run."""
DRIFT = "Drift"
"""Something of it was touched."""
REMOVED = "Removed"
"""It left the node: the last report on it."""
