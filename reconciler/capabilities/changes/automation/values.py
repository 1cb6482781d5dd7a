"""Values where references stand, and outputs out of answers, as an execution's state has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.capabilities.changes.automation.state import LOOP
from reconciler.documents.runbook import jsonpath, references, times, variables
from reconciler.documents.runbook.actions import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.capabilities.changes.automation.state import Frame, State
    from reconciler.documents.runbook.actions import OutputType
    from reconciler.documents.runbook.references import Reference
    from reconciler.documents.runbook.runbook import Output, Runbook, Step


class Unresolved(Exception):
    """A reference that has no value now; the text is a sentence."""


class Unselected(Exception):
    """An answer that does not have an output as it was declared; the text is a sentence."""


def resolved(value: Any, runbook: Runbook, state: State, at: int) -> Any:
    """`value` with its references replaced. Raises `Unresolved`."""

    def read(text: str) -> Reference | None:
        return references.read(text, runbook.parameters, runbook.by_name)

    def resolve(reference: Reference) -> Any:
        return value_of(reference, state, at)

    return references.interpolate(value, read, resolve)


def value_of(reference: Reference, state: State, at: int) -> Any:
    """What a reference stands for. Raises `Unresolved`."""
    assert state.started is not None
    try:
        found = _found(reference, state, at)
        return references.below(found, reference.keys)
    except LookupError:
        raise Unresolved(f"`{reference.text}` has no value") from None


def _found(reference: Reference, state: State, at: int) -> Any:
    assert state.started is not None
    if reference.parameter:
        return state.started.parameters[reference.parameter]
    if reference.step:
        frame = next((frame for frame in state.frames if frame.begun.step == reference.step), None)
        return of_loop(frame)[reference.name] if frame else state.outputs[reference.step][reference.name]
    if reference.prefix == "variable:":
        return state.variables[reference.name]
    if reference.prefix == "loop:":
        return of_loop(state.frames[-1])[reference.name]
    if reference.prefix == "automation:":
        return {"EXECUTION_ID": state.started.execution}[reference.name]
    own = {"global:DATE": times.date, "global:DATE_TIME": times.date_time}
    return own[reference.text](at) if reference.text in own else state.started.facts[reference.text]


def of_loop(frame: Frame) -> dict[str, Any]:
    """What the steps of a loop may read of it."""
    found: dict[str, Any] = {"CurrentIteration": frame.iteration}
    if "Iterators" in frame.begun.inputs:
        found["CurrentIteratorValue"] = frame.value
    return found


def number(inputs: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """An input that is a number from 1 to `most`. Raises `ValueError` with what is wrong about it."""
    given = inputs.get(name, default)
    try:
        found = int(given)
    except (TypeError, ValueError):
        found = 0
    if not 1 <= found <= most:
        raise ValueError(f"`{name}` is `{references.written(given)}`; expected a number from 1 to {most}")
    return found


def outputs(step: Step, answer: Mapping[str, Any]) -> dict[str, Any]:
    """What later steps may read of an answer: what the action gives by itself, and what the step declares.

    A declared output that the answer does not have is left out, as SSM does. Raises `Unselected`.
    """
    found = {name: answer[name] for name in ACTIONS[step.action].outputs if name in answer and step.action != LOOP}
    for output in step.outputs:
        try:
            value = jsonpath.select(output.path, answer)
        except LookupError:
            found.pop(output.name, None)
            continue
        if value is not None:
            found[output.name] = _typed(output, value)
    return found


def _typed(output: Output, value: Any) -> Any:
    converted = _CONVERTED[output.type](value) if output.type in _CONVERTED else value
    if not variables.fits(output.type, converted):
        shown = references.written(value)[:100]
        raise Unselected(f"the output `{output.name}` is `{shown}`; expected {variables.words(output.type)}")
    return converted


def _texts(value: Any) -> Any:
    return [references.written(item) for item in value] if isinstance(value, list) else value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_CONVERTED: dict[OutputType, Any] = {"String": references.written, "StringList": _texts, "Integer": _whole}
