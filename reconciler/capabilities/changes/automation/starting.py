"""The first event of an execution: what was asked for, checked against the runbook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.capabilities.changes.automation.events import Rate, Started
from reconciler.core import rate
from reconciler.core.problem import Finding, Invalid, Place, nearest
from reconciler.core.typed.words import one_of
from reconciler.documents import parameters
from reconciler.documents.runbook import references, variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.capabilities.changes.automation.events import Mode
    from reconciler.core.manifest import Loc
    from reconciler.documents.runbook.references import Reference
    from reconciler.documents.runbook.runbook import Runbook

CONCURRENCY = "10"
ERRORS = "0"
"""SSM's own, where neither is asked for."""


def start(
    runbook: Runbook,
    given: Mapping[str, Any],
    *,
    fleet_id: str,
    execution: str,
    subject: str,
    at: int,
    facts: Mapping[str, Any] | None = None,
    mode: Mode = "Auto",
    parent: str = "",
    revision: str = "",
    over: tuple[str, Sequence[str]] | None = None,
    max_concurrency: str = CONCURRENCY,
    max_errors: str = ERRORS,
) -> Started:
    """The event that begins an execution. Raises `Invalid` where the runbook does not take what is given.

    `given` has parameters as texts, lists of texts or values. `facts` has the values of `wanted_facts`. `revision` is
    what the runbook's text is found by again. `over` is a parameter and its targets: the execution becomes the parent
    of one for each.
    """
    known = facts or {}
    asked = {name: _texts(value) for name, value in given.items()}
    if over is None:
        found = _values(runbook, asked, known)
    else:
        name, targets = over
        if name not in runbook.parameters:
            expected = one_of(runbook.parameters) if runbook.parameters else "a runbook with parameters"
            message = f"the runbook has no parameter `{name}` that could take a target"
            raise Invalid((Finding(message, _asked(()), expected, nearest(name, runbook.parameters)),))
        for target in targets:
            _values(runbook, {**asked, name: [target]}, known)
        found = {parameter: value for parameter, value in given.items() if parameter != name}
    return Started(
        at,
        fleet_id,
        execution,
        runbook.name,
        runbook.steps[0].name,
        subject,
        found,
        {name: _initial(runbook, name) for name in runbook.variables},
        known,
        mode,
        parent,
        revision,
        _role(runbook, found),
        _rate(over, max_concurrency, max_errors),
    )


def wanted_facts(runbook: Runbook) -> frozenset[str]:
    """References whose values come from elsewhere and have to be known at the start: `ssm:name`, `global:REGION`."""
    texts: list[Any] = [step.inputs for step in runbook.by_name.values()]
    texts += [parameter.default for parameter in runbook.parameters.values()]
    texts += [edge.label for edge in runbook.edges]
    found = {name for value in texts for _, text in references.texts(value) for name in references.names(text)}
    return frozenset(name for name in found if name.startswith(_ELSEWHERE) and name not in _OWN)


_ELSEWHERE = ("ssm:", "ssm-secure:", "resolve:ssm:", "global:")
_OWN = ("global:DATE", "global:DATE_TIME")


def _values(runbook: Runbook, given: Mapping[str, Sequence[str]], facts: Mapping[str, Any]) -> dict[str, Any]:
    found = parameters.values(runbook, given, _asked)
    return {name: references.interpolate(_plain(value), _fact, _resolve(facts)) for name, value in found.items()}


def _role(runbook: Runbook, values: Mapping[str, Any]) -> str:
    def read(text: str) -> Reference | None:
        return references.read(text, values, ())

    return str(references.interpolate(runbook.assume_role, read, lambda found: values.get(found.parameter, "")))


def _fact(text: str) -> Reference | None:
    found = references.read(text, (), ())
    return found if found and text.startswith(_ELSEWHERE) else None


def _resolve(facts: Mapping[str, Any]) -> Any:
    def resolve(reference: Reference) -> Any:
        if reference.text in facts:
            return facts[reference.text]
        raise Invalid((Finding(f"`{reference.text}` has no value", _asked(()), "a parameter of the parameter store"),))

    return resolve


def _asked(loc: Loc) -> Place:
    """What is given to start an execution stands in no file."""
    return Place(".".join(("parameters", *map(str, loc))))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def _texts(value: Any) -> list[str]:
    return (
        [references.written(item) for item in value]
        if isinstance(value, (list, tuple))
        else [references.written(value)]
    )


def _initial(runbook: Runbook, name: str) -> Any:
    declared = runbook.variables[name]
    return variables.NOTHING[declared.type] if declared.default is None else declared.default


def _rate(over: tuple[str, Sequence[str]] | None, concurrency: str, errors: str) -> Rate | None:
    if over is None:
        return None
    name, targets = over
    count = len(targets)
    return Rate(name, tuple(targets), rate.concurrency(concurrency, count), rate.errors(errors, count))
