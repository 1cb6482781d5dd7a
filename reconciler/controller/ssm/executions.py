"""Automation: executions as SSM shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from reconciler.capabilities.changes import automation
from reconciler.capabilities.changes.automation.events import Signal
from reconciler.controller.automation.beginning import AUTOMATION, Wanted, listed_targets
from reconciler.controller.ssm import given as ask
from reconciler.core.effect import job_id
from reconciler.core.problem import Finding, Invalid, Place, Refused
from reconciler.documents.runbook import references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.work import Work
    from reconciler.controller.ssm.house import House

View = dict[str, Any]
DEEP = 10
"""Executions that may stand above one that a step starts by a call."""


def start(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """An execution begun on its own: unlike `aws:executeAutomation` nobody waits for it."""
    house.permissions.check(work.subject, "start", AUTOMATION)
    house.orders.require_thaw()
    if given.get("TargetLocations") or given.get("TargetMaps"):
        raise Refused("Unsupported: other accounts and regions: there are none", "automation")
    document = house.shelf.named(ask.last(given, "DocumentName"))
    row = house.service.automations.row(work.execution)
    if row.depth >= DEEP:
        raise Refused(f"executions start one another {DEEP} deep at most", "automation")
    wanted = Wanted(
        {name: _parameter(value) for name, value in (given.get("Parameters") or {}).items()},
        "Interactive" if given.get("Mode") == "Interactive" else "Auto",
        listed_targets(given.get("Targets") or ()),
        str(given.get("TargetParameterName") or ""),
        str(given.get("MaxConcurrency") or automation.CONCURRENCY),
        str(given.get("MaxErrors") or automation.ERRORS),
    )
    beginning = house.beginnings.of(
        document,
        house.shelf.text(document),
        wanted,
        work.subject,
        execution=job_id(work.begun, work.id),
        at=work.begun,
        depth=row.depth + 1,
    )
    return {"AutomationExecutionId": house.loop.call(lambda: house.executions.begin(beginning)).id}


def show(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """One execution with its steps."""
    view = house.service.automations.show(work.subject, ask.text(given, "AutomationExecutionId"))
    steps = [_step(view["execution"], number, step) for number, step in enumerate(view["steps"])]
    parameters = {name: _texts(value) for name, value in view["parameters"].items()}
    outputs = {name: _texts(value) for name, value in view["outputs"].items()}
    current = next((step for step in reversed(view["steps"]) if step["status"] in ("InProgress", "Waiting")), None)
    more = {"CurrentStepName": current["step"], "CurrentAction": current["action"]} if current else {}
    execution = {**_head(view), **more, "StepExecutions": steps, "Parameters": parameters, "Outputs": outputs}
    return {"AutomationExecution": execution}


def listed(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Executions, newest first."""
    rows = house.service.automations.list(work.subject, 1000)
    for key, values in ask.filters(given, "Filters"):
        if key not in _FILTERS:
            raise ask.unknown_filter(key, ", ".join(_FILTERS))
        rows = [row for row in rows if any(_matches(key, str(row[_FILTERS[key]]), value) for value in values)]
    return {"AutomationExecutionMetadataList": [_head(row) for row in rows[: ask.most(given)]]}


def stop(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Ask for the end of an execution."""
    how = str(given.get("Type") or "Cancel")
    if how not in ("Cancel", "Complete"):
        raise Invalid((Finding(f"`Type` is `{how}`", Place("Type"), "`Cancel` or `Complete`"),))
    execution = ask.text(given, "AutomationExecutionId")
    house.service.automations.stop(work.subject, execution, f"by step {work.step} of {work.execution}")
    return {}


def signal(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Answer an execution that waits."""
    word = ask.text(given, "SignalType")
    said = next((one for one in get_args(Signal) if one == word), None)
    if said is None:
        raise Invalid((Finding(f"`SignalType` is `{word}`", Place("SignalType"), ", ".join(get_args(Signal))),))
    comment = " ".join(ask.texts(given.get("Payload") or {}, "Comment"))
    house.service.automations.signal(work.subject, ask.text(given, "AutomationExecutionId"), said, comment)
    return {}


_FILTERS = {
    "DocumentNamePrefix": "document",
    "ExecutionStatus": "status",
    "ExecutionId": "execution",
    "ParentExecutionId": "parent",
}


def _matches(key: str, value: str, wanted: str) -> bool:
    return value.startswith(wanted) if key == "DocumentNamePrefix" else value == wanted


def _head(view: View) -> View:
    found = {
        "AutomationExecutionId": view["execution"],
        "DocumentName": view["document"],
        "DocumentVersion": "1",
        "AutomationExecutionStatus": view["status"],
        "ExecutionStartTime": view["startedAt"],
        "ExecutionEndTime": view["finishedAt"],
        "ExecutedBy": view["subject"],
        "Mode": view["mode"],
        "ParentAutomationExecutionId": view["parent"],
        "FailureMessage": view["reason"],
    }
    return {name: value for name, value in found.items() if value not in ("", None)}


def _step(execution: str, number: int, step: View) -> View:
    found = {
        "StepName": step["step"],
        "Action": step["action"],
        "StepExecutionId": f"{execution}-{number}",
        "StepStatus": step["status"],
        "ExecutionStartTime": step["startedAt"],
        "ExecutionEndTime": step["finishedAt"],
        "Inputs": {name: references.written(value) for name, value in step["inputs"].items()},
        "Outputs": {name: _texts(value) for name, value in step["outputs"].items()},
        "FailureMessage": step["reason"],
        "NextStep": step["next"],
    }
    return {name: value for name, value in found.items() if value not in ("", None)}


def _parameter(value: Any) -> Any:
    """SSM gives each parameter a list of texts; one of a single text is that text."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _texts(value: Any) -> list[str]:
    return [references.written(one) for one in (value if isinstance(value, list) else [value])]
