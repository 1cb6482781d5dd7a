"""Documents that are on a node alone, and that a step runs: where their steps come from."""

from __future__ import annotations

from typing import Callable, List

from agent.contract.wire import BodyStep
from agent.steps.step import Given, StepFailed

Document = Callable[[BodyStep, Given], List[BodyStep]]
"""Gives the steps of the document that a step runs, under their names in its body. Raises `StepFailed`."""


def no_document(step: BodyStep, given: Given) -> List[BodyStep]:
    """Where nobody is there to read it."""
    del given
    path = step.inputs.get("documentPath")
    raise StepFailed("the document %s is on this node; commands run such documents, associations do not" % path)
