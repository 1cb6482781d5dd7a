"""Inputs: a step's tree as the type its action takes, with everything that is wrong about the values themselves.

Belongs here: a module per module of `agent.contract.inputs`, with what is to be checked of each action's inputs beyond
their types; `words` and `origin` have what several of them say. Does not belong here: what a step owns, or does.
"""

from reconciler.documents.inputs.loading import load, names

__all__ = ["load", "names"]
