"""What the agent allows itself of the machine. Its unit says the same; this holds where no control group does."""

from __future__ import annotations

import contextlib
import resource

from agent.host.supervisor import memory_bounded

MEMORY = 1024 * 1024 * 1024
"""Bytes that the agent may have, the programs included that it runs itself (not scripts, which are bounded apart)."""


def bound_memory() -> None:
    """Bound this process, and each that it starts, where the control group does not bound them all together."""
    if memory_bounded():
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    if soft == resource.RLIM_INFINITY or soft > wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
