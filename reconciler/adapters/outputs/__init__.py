"""The output store: what jobs said, whole. Belongs here: the port's adapters. Does not: what is made of it.

`DirectoryOutputs` keeps files below a directory, `MemoryOutputs` the same in memory; one contract suite runs on both.
"""

from reconciler.adapters.outputs.directory import DirectoryOutputs
from reconciler.adapters.outputs.memory import MemoryOutputs

__all__ = ["DirectoryOutputs", "MemoryOutputs"]
