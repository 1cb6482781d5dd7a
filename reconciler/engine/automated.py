"""Associations of Automation documents: what can be wrong with them, and when they start an execution. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.contract import schedule
from agent.contract.canonical import canonical
from reconciler.core.problem import Finding, Invalid, nearest
from reconciler.core.typed.words import one_of
from reconciler.documents import parameters
from reconciler.documents.stored import References

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.capabilities.nodes.association import AssociationSpec
    from reconciler.core.manifest import Loc
    from reconciler.core.problem import Place
    from reconciler.core.resource import Resource
    from reconciler.documents.model import Parameter
    from reconciler.documents.runbook import Runbook
    from reconciler.documents.stored import Kept
    from reconciler.engine.catalog import Catalog

SETTING = "automation:"
"""Begins the setting that tells of an association's newest start."""
OURS = "automationTargetParameterName"


@dataclass(frozen=True, slots=True)
class Last:
    """The newest start for an association: what the association was then, and the instant that it was for (Unix ms)."""

    fingerprint: str
    instant: int


@dataclass(frozen=True, slots=True)
class _Untargeted:
    """What is declared besides the parameter that gets the target."""

    parameters: Mapping[str, Parameter]


def automated(catalog: Catalog) -> Iterator[Resource]:
    """The associations that start executions instead of giving nodes something."""
    return (resource for uid, resource in catalog.associations.items() if uid not in catalog.compiled)


def announced(catalog: Catalog, started: Mapping[str, str]) -> list[str]:
    """What will be started once the catalog is in force, in words. `started` has by uid what an association was when
    it started something last."""
    found = []
    for resource in automated(catalog):
        if started.get(resource.uid) != resource.fingerprint:
            spec = resource.spec
            each = " for each target" if spec.automation_target_parameter_name else ""
            then = f", and at {spec.schedule_expression}" if spec.schedule_expression else ""
            found.append(f"{resource.place}: {resource.uid} executes {spec.document}{each} once this is in force{then}")
    return found


def last_in(settings: Mapping[str, str]) -> dict[str, Last]:
    """The newest start by association, as the store's settings have it."""
    known = {name.removeprefix(SETTING): text for name, text in settings.items() if name.startswith(SETTING)}
    return {uid: Last(**json.loads(text)) for uid, text in known.items()}


def setting(resource: Resource, instant: int) -> dict[str, str]:
    """The setting that tells of a start for this instant."""
    said = {"fingerprint": resource.fingerprint, "instant": instant}
    return {SETTING + resource.uid: canonical(said).decode()}


def due(resource: Resource, last: Last | None, at: int) -> int | None:
    """The instant that an execution is to be started for at `at`: one for each change of it, one for each instant of
    its schedule; of several that were missed the newest. None where there is none."""
    if last is None or last.fingerprint != resource.fingerprint:
        return at
    expression = resource.spec.schedule_expression
    return schedule.latest(expression, last.instant, at) if expression else None


def following(resource: Resource, after: int) -> int | None:
    """The first instant of its schedule after this one."""
    expression = resource.spec.schedule_expression
    return schedule.next_after(expression, after) if expression else None


def flaws(spec: AssociationSpec, runbook: Runbook, place: Callable[[Loc], Place], kept: Kept) -> list[Finding]:
    """What is wrong with an association of this runbook; `place` tells where something of its spec stands."""
    found: list[Finding] = []
    name = spec.automation_target_parameter_name
    if name and name not in runbook.parameters:
        expected = one_of(runbook.parameters) if runbook.parameters else "a runbook with parameters"
        near = nearest(name, runbook.parameters)
        found.append(Finding(f"the runbook has no parameter `{name}`", place((OURS,)), expected, near))
    if bool(name) != bool(spec.targets):
        message = f"`targets` and `{OURS}` go together: the parameter gets each target, one execution for one"
        found.append(Finding(message, place((OURS,) if name else ("targets",)), "both, or neither"))

    def where(loc: Loc) -> Place:
        return place(("parameters", *loc) if loc else ())

    declared = _Untargeted({known: one for known, one in runbook.parameters.items() if known != name})
    references = References(kept)
    try:
        given = references.given(declared, spec.parameters, where)
        found += references.findings
        parameters.values(declared, given, where)
    except Invalid as invalid:
        found += invalid.findings
    return found
