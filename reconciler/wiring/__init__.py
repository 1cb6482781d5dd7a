"""Settings to adapters: the only place that constructs them.

Belongs here: opening the store, the mirror, keys and listeners, and putting them together; what a command needs of the
local machine. Does not belong here: decisions, rendering, or anything a test of a decision would need.
"""

from reconciler.wiring.daemon import ServeOptions, serve
from reconciler.wiring.local import client, init, plan_from_git, validate, write_agent

__all__ = ["ServeOptions", "client", "init", "plan_from_git", "serve", "validate", "write_agent"]
