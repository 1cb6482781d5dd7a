"""Settings to adapters: the only place that constructs them.

Belongs here: opening the store, the mirror, keys and listeners, and putting them together; what a command needs of the
local machine. Does not belong here: decisions, rendering, or anything a test of a decision would need.
"""

from reconciler.adapters.signer import operator_signer
from reconciler.wiring.daemon import Daemon, Served, ServeOptions, serve
from reconciler.wiring.local import init, plan_from_git, validate, write_agent

__all__ = [
    "Daemon",
    "ServeOptions",
    "Served",
    "init",
    "operator_signer",
    "plan_from_git",
    "serve",
    "validate",
    "write_agent",
]
