"""Parameter Store: what is no secret. A SecureString is not given to a runbook, whose inputs and outputs are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.contract.canonical import instant
from reconciler.controller.ssm import given as ask
from reconciler.core.parameters import SECURE, Selector
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.work import Work
    from reconciler.controller.ssm.house import House
    from reconciler.core.parameters import Parameter
    from reconciler.core.ports import Parameters

View = dict[str, Any]
KIND = "Parameter"


def one(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """A parameter by its name, with a version or label where one is named."""
    stored, selector = _stored(house, work), Selector.parse(ask.text(given, "Name"))
    found = stored.find(selector)
    if found is None:
        near = stored.nearest(selector)
        raise Refused(f"there is no parameter {selector}", "ParameterNotFound", f"did you mean {near}?" if near else "")
    return {"Parameter": _shown(stored, found, selector)}


def several(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Parameters by their names; those that are not there by name alone."""
    stored, names = _stored(house, work), ask.texts(given, "Names")
    found = [(name, Selector.parse(name), stored.find(Selector.parse(name))) for name in names]
    return {
        "Parameters": [_shown(stored, known, selector) for _, selector, known in found if known is not None],
        "InvalidParameters": [name for name, _, known in found if known is None],
    }


def below(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Parameters below a path."""
    stored = _stored(house, work)
    found = stored.below(ask.text(given, "Path"), recursive=ask.flag(given, "Recursive"))
    shown = [_shown(stored, known, Selector(known.name)) for known in found[: ask.most(given)]]
    return {"Parameters": shown}


def _stored(house: House, work: Work) -> Parameters:
    house.permissions.check(work.subject, "read", KIND)
    return house.shelf.catalog().stored(house.source)


def _shown(stored: Parameters, found: Parameter, selector: Selector) -> View:
    if found.type == SECURE:
        raise Refused(
            f"{found.name} is a SecureString: a runbook would keep it in the clear",
            "SecureString",
            "have the step's document refer to it",
        )
    version = stored.version(selector)
    return {
        "Name": found.name,
        "Type": found.type,
        "Value": found.value,
        "Version": version.number if version else 1,
        "LastModifiedDate": instant(version.at) if version and version.at else "",
        "DataType": "text",
    }
