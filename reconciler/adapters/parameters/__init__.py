"""Parameter Store: what parameters there are. Belongs here: the port's adapters. Does not: who may read which.

`TreeParameters` reads the files of a commit, `MemoryParameters` is told; one contract suite runs on both. `SopsUnseal`
opens what is encrypted.
"""

from reconciler.adapters.parameters.memory import MemoryParameters
from reconciler.adapters.parameters.secrets import SopsUnseal
from reconciler.adapters.parameters.tree import TreeParameters

__all__ = ["MemoryParameters", "SopsUnseal", "TreeParameters"]
