"""Associations as State Manager shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.controller.ssm import given as ask
from reconciler.core import nodeset
from reconciler.core.problem import Refused, nearest
from reconciler.core.world import Columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.work import Work
    from reconciler.controller.ssm.house import House
    from reconciler.core.resource import Resource

View = dict[str, Any]
KIND = "Association"


def listed(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Associations by name."""
    house.permissions.check(work.subject, "read", KIND)
    found = house.shelf.catalog().of(KIND)
    for key, values in ask.filters(given, "AssociationFilterList"):
        if key not in _FILTERS:
            raise ask.unknown_filter(key, ", ".join(_FILTERS))
        found = [resource for resource in found if _FILTERS[key](resource) in values]
    return {"Associations": [_head(resource) for resource in found[: ask.most(given)]]}


def described(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """One association, by its id: here, its name."""
    house.permissions.check(work.subject, "read", KIND)
    name, known = ask.last(given, "AssociationId"), house.shelf.catalog().associations
    resource = known.get(f"{KIND}/{name}")
    if resource is None:
        near = nearest(name, (one.name for one in known.values()))
        said = f"did you mean {near}?" if near else ""
        raise Refused(f"there is no association {name}", "AssociationDoesNotExist", said)
    world, spec = house.state.world, resource.spec
    columns = world.columns.get(resource.uid, Columns())
    reach = house.permissions.reach(work.subject, "read", "Node", world.nodes)
    failed = columns.reported & ~columns.converged
    told = {"Success": columns.converged & reach, "Failed": failed & reach}
    counts = {word: nodeset.size(nodes) for word, nodes in told.items()}
    more = {
        "Parameters": {name: [value] if isinstance(value, str) else value for name, value in spec.parameters.items()},
        "MaxConcurrency": spec.max_concurrency or "",
        "MaxErrors": spec.max_errors or "",
        "ComplianceSeverity": spec.compliance_severity,
    }
    return {"AssociationDescription": {**_head(resource), **more, "Overview": _overview(counts)}}


_FILTERS = {
    "AssociationId": lambda resource: resource.name,
    "AssociationName": lambda resource: resource.name,
    "Name": lambda resource: resource.spec.document,
}


def _head(resource: Resource) -> View:
    spec = resource.spec
    return {
        "AssociationId": resource.name,
        "AssociationName": resource.name,
        "Name": spec.document,
        "AssociationVersion": "1",
        "Targets": [{"Key": target.key, "Values": list(target.values)} for target in spec.targets],
        "ScheduleExpression": spec.schedule_expression or "",
    }


def _overview(counts: Mapping[str, int]) -> View:
    status = "Failed" if counts["Failed"] else "Success" if counts["Success"] else "Pending"
    return {"Status": status, "AssociationStatusAggregatedCount": dict(counts)}
