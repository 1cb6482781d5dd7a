"""The table of steps: each can be made, and is of the shape that its place promises."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import pytest

from agent.contract.inputs import ACTIONS
from agent.steps.registry import (
    BATCHES,
    NEEDS,
    NOT_IN_A_SANDBOX,
    OF_OTHER_STEPS,
    RESTORABLE,
    SCRIPTS,
    STEPS,
    unsupported,
)
from agent.steps.step import BatchStep, RestorableStep, ScriptedStep, Step

PLACES = [
    (table, action, shape)
    for table, shape in ((STEPS, Step), (RESTORABLE, RestorableStep), (BATCHES, BatchStep), (SCRIPTS, ScriptedStep))
    for action in table
]


@pytest.mark.parametrize(("table", "action", "shape"), PLACES)
def test_a_step_has_the_methods_of_its_shape(table: Mapping[str, object], action: str, shape: type) -> None:
    step = table[action]
    assert table[action] is step
    wanted = {name: method for name, method in inspect.getmembers(shape, inspect.isfunction) if name[0] != "_"}
    for name, method in wanted.items():
        parameters = list(inspect.signature(method).parameters)[1:]
        assert list(inspect.signature(getattr(step, name)).parameters) == parameters, name


def test_every_action_has_a_step_and_no_other() -> None:
    assert set(STEPS) | set(OF_OTHER_STEPS) == set(ACTIONS)
    assert set(RESTORABLE) | set(SCRIPTS) < set(STEPS)
    assert set(NOT_IN_A_SANDBOX) < set(STEPS)
    assert "ops:spell" not in STEPS
    assert STEPS.get("ops:spell") is None
    assert len(STEPS) + len(OF_OTHER_STEPS) == len(ACTIONS)


def test_what_never_works_here_says_what_it_would_need() -> None:
    assert not set(NEEDS) & set(ACTIONS)
    assert (
        unsupported("aws:configurePackage", 1) == "Unsupported: needs packages, which this version does not distribute"
    )
    assert unsupported("aws:spell", 1) == "Unsupported: this agent does not know the action aws:spell; upgrade it"
    assert unsupported("aws:runShellScript", 1) is None
