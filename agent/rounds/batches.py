"""Which steps of a body are done together: all of them are looked at before one of them changes anything."""

from __future__ import annotations

from typing import Iterator, List, Sequence

from agent.contract.wire import BodyStep
from agent.steps.registry import BATCHES


def batches(steps: Sequence[BodyStep]) -> Iterator[List[BodyStep]]:
    """Adjacent steps of one action that is done in batches; every other step by itself."""
    batch: List[BodyStep] = []
    for step in steps:
        if batch and not _joins(step, batch):
            yield batch
            batch = []
        batch.append(step)
    if batch:
        yield batch


def _joins(step: BodyStep, batch: Sequence[BodyStep]) -> bool:
    """Whether a step may be looked at before the batch is applied: where what it finds does not depend on that."""
    action = batch[0].action
    if step.action != action or action not in BATCHES:
        return False
    if action == "ops:directory":  # one is empty, and removed, once what is in it is gone
        return all(each.inputs.get("state") != "absent" for each in (step, *batch))
    if action == "ops:link":  # what is beneath a link is where the link says
        path = str(step.inputs.get("path"))
        return not any(path.startswith("%s/" % each.inputs.get("path")) for each in batch)
    return True
