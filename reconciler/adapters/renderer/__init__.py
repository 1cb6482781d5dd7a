"""Rendering templates that nobody has reviewed yet: in a process of its own, with little memory and little time.

Belongs here: the process and its bounds. Does not belong here: what rendering means; that is `agent.contract.template`.
"""

from reconciler.adapters.renderer.bounded import BoundedRenderer

__all__ = ["BoundedRenderer"]
