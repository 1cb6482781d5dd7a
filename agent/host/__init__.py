"""The one door to the operating system: run, read, write, look, time.

Belongs here: the `Host` protocol and its two adapters, `LocalHost` (this machine, or a directory tree of it) and
`memory.MemoryHost` (a machine held in memory). Both pass one contract suite.
Does not belong here: what any step wants. Nothing else of the agent assumes POSIX but `steps`.
"""

from agent.host.local import LocalHost
from agent.host.port import Entry, Host, Ran, Snapshot, UnsafePath, replace

__all__ = ["Entry", "Host", "LocalHost", "Ran", "Snapshot", "UnsafePath", "replace"]
