"""Run Command: SendCommand and what asks about commands."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.contract.canonical import milliseconds
from reconciler.controller.automation.performing import command_of
from reconciler.controller.automation.run_command import RunCommand
from reconciler.controller.ssm import given as ask
from reconciler.core.effect import Cause
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.controller.automation.work import Work
    from reconciler.controller.ssm.house import House

View = dict[str, Any]


def send(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """The command, begun; the same one where it was begun under this id before."""
    ask.text(given, "DocumentName")
    order = RunCommand(house.shelf, house.orders, house.runbooks).order(replace(work, inputs=given))
    effect = replace(order.effect, comment=str(given.get("Comment") or ""))
    cause = Cause(work.id, work.begun, work.subject.name, f"step {work.step} of {work.execution}")
    row = house.loop.call(lambda: house.desk.dispatch(effect, cause, order.files, command_of(work)))
    view = house.desk.view(row, house.desk.invocations(row.id))
    return {"Command": _command(view, given, [one["nodeId"] for one in view["invocations"]], row.parameters)}


def show(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """One node's part of a command, whole or of one step."""
    view = house.service.commands.show(work.subject, ask.text(given, "CommandId"))
    one = _of_node(view, ask.text(given, "InstanceId"))
    plugin = str(given.get("PluginName") or "")
    steps = [step for step in one["steps"] if plugin in ("", step["name"], step["action"])]
    if plugin and one["steps"] and not steps:
        raise Refused(f"the command {view['command']} has no step {plugin:.100}", "InvalidPluginName")
    first = steps[0] if len(steps) == 1 or plugin else None
    begun = steps[0].get("startedAt", "") if steps else ""
    ended = steps[-1].get("finishedAt", "") if steps else ""
    return {
        "CommandId": view["command"],
        "InstanceId": one["nodeId"],
        "Comment": view["comment"],
        "DocumentName": view["document"],
        "DocumentVersion": "1",
        "PluginName": plugin,
        "ResponseCode": _code(one, steps),
        "ExecutionStartDateTime": begun,
        "ExecutionElapsedTime": _elapsed(begun, ended),
        "ExecutionEndDateTime": ended,
        "Status": first["status"] if first is not None and plugin else one["status"],
        "StatusDetails": one["statusDetails"],
        "StandardOutputContent": first.get("output", "") if first is not None and plugin else one["standardOutput"],
        "StandardOutputUrl": "",
        "StandardErrorContent": one["standardError"],
        "StandardErrorUrl": "",
    }


def invocations(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Nodes' parts of one command, or of the newest ones."""
    wanted, details = str(given.get("InstanceId") or ""), ask.flag(given, "Details")
    rows = [
        _invocation(view, one, details=details)
        for view in _asked(house, work, given)
        for one in view["invocations"]
        if wanted in ("", one["nodeId"], one["node"])
    ]
    return {"CommandInvocations": rows[: ask.most(given)]}


def listed(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Commands, newest first."""
    return {"Commands": [_command(view, {}, [], "{}") for view in _asked(house, work, given)]}


def _asked(house: House, work: Work, given: Mapping[str, Any]) -> list[View]:
    """The command that is named, or the newest ones."""
    service, command = house.service.commands, str(given.get("CommandId") or "")
    known = [command] if command else [row["command"] for row in service.list(work.subject, ask.most(given))]
    return [service.show(work.subject, one) for one in known]


def cancel(house: House, work: Work, given: Mapping[str, Any]) -> View:
    """Ask for the end of a command; one that is over stays as it is."""
    command = ask.text(given, "CommandId")
    if not house.service.commands.show(work.subject, command)["finished"]:
        house.service.commands.cancel(work.subject, command)
    return {}


def _command(view: View, given: Mapping[str, Any], nodes: list[str], parameters: str) -> View:
    return {
        "CommandId": view["command"],
        "DocumentName": view["document"],
        "DocumentVersion": "1",
        "Comment": view["comment"],
        "Parameters": json.loads(parameters),
        "InstanceIds": nodes if given.get("InstanceIds") else [],
        "Targets": given.get("Targets") or [],
        "RequestedDateTime": view["requestedAt"],
        "Status": view["status"],
        "StatusDetails": view["statusDetails"],
        "MaxConcurrency": view["maxConcurrency"],
        "MaxErrors": view["maxErrors"],
        "TargetCount": view["targetCount"],
        "CompletedCount": view["completedCount"],
        "ErrorCount": view["errorCount"],
        "DeliveryTimedOutCount": view["deliveryTimedOutCount"],
    }


def _invocation(view: View, one: View, *, details: bool) -> View:
    plugins = [
        {
            "Name": step["name"],
            "Status": step["status"],
            "StatusDetails": step["status"],
            "ResponseCode": step.get("rc", 0),
            "ResponseStartDateTime": step.get("startedAt", ""),
            "ResponseFinishDateTime": step.get("finishedAt", ""),
            "Output": step.get("output", ""),
        }
        for step in one["steps"]
    ]
    return {
        "CommandId": view["command"],
        "InstanceId": one["nodeId"],
        "InstanceName": one["node"],
        "Comment": view["comment"],
        "DocumentName": view["document"],
        "DocumentVersion": "1",
        "RequestedDateTime": view["requestedAt"],
        "Status": one["status"],
        "StatusDetails": one["statusDetails"],
        "TraceOutput": one["reason"],
        "CommandPlugins": plugins if details else [],
    }


def _of_node(view: View, name: str) -> View:
    """The invocation of a node, by its id or name."""
    for one in view["invocations"]:
        if name in (one["nodeId"], one["node"]):
            return dict(one)
    raise Refused(f"the command {view['command']} was not sent to {name:.100}", "InvocationDoesNotExist")


def _code(one: View, steps: list[View]) -> int:
    """SSM's: -1 while it runs, else the exit code of the first step that did not end with 0."""
    if not one["steps"]:
        return -1
    return next((step["rc"] for step in steps if step.get("rc")), 0)


def _elapsed(begun: str, ended: str) -> str:
    if not begun or not ended:
        return ""
    seconds = (milliseconds(ended) - milliseconds(begun)) / 1000
    return f"PT{seconds:g}S"
