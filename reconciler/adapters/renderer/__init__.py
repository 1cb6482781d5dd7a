"""Renderers: templates that nobody may have reviewed, rendered for a plan's diff.

Belongs here: the process that does it and the bounds on its time, memory and output.
Does not belong here: what rendering means, which is `agent.contract.template`'s; which contexts are worth rendering for
(`engine.reading`).
"""

from reconciler.adapters.renderer.bounded import BoundedRenderer
from reconciler.adapters.renderer.bounds import Bounds
from reconciler.adapters.renderer.memory import MemoryRenderer

__all__ = ["BoundedRenderer", "Bounds", "MemoryRenderer"]
