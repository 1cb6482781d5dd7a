"""Which call is answered by what: one explicit table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from reconciler.controller.ssm import associations, commands, documents, executions, nodes, parameters
from reconciler.core.executions import Answer
from reconciler.core.problem import nearest
from reconciler.documents.runbook.ssm_calls import folded

if TYPE_CHECKING:
    from reconciler.controller.automation.work import Work
    from reconciler.controller.ssm.house import House

SERVICE = "ssm"
NOT_SENT = frozenset({"Service", "Api", "PropertySelector", "DesiredValues"})
"""Inputs of a step that are not part of the call."""

Call: TypeAlias = "Callable[[House, Work, Mapping[str, Any]], dict[str, Any]]"

CALLS: Mapping[str, Call] = {
    "AddTagsToResource": nodes.not_tagged,
    "CancelCommand": commands.cancel,
    "DescribeAssociation": associations.described,
    "DescribeAutomationExecutions": executions.listed,
    "DescribeDocument": documents.described,
    "DescribeInstanceInformation": nodes.described,
    "GetAutomationExecution": executions.show,
    "GetCommandInvocation": commands.show,
    "GetDocument": documents.show,
    "GetParameter": parameters.one,
    "GetParameters": parameters.several,
    "GetParametersByPath": parameters.below,
    "ListAssociations": associations.listed,
    "ListCommandInvocations": commands.invocations,
    "ListCommands": commands.listed,
    "ListDocuments": documents.listed,
    "ListInventoryEntries": nodes.inventory,
    "ListTagsForResource": nodes.tags,
    "RemoveTagsFromResource": nodes.not_tagged,
    "SendAutomationSignal": executions.signal,
    "SendCommand": commands.send,
    "StartAutomationExecution": executions.start,
    "StopAutomationExecution": executions.stop,
}
_FOLDED = {folded(name): call for name, call in CALLS.items()}


class SsmApi:
    """Answers as SSM does. A handler of the table of work; what it raises fails the step."""

    def __init__(self, house: House) -> None:
        self._house = house

    def __call__(self, work: Work) -> Answer:
        api = str(work.inputs.get("Api", ""))
        call = _FOLDED.get(folded(api))
        if call is None:
            near = nearest(api, CALLS)
            known = f"; did you mean {near}?" if near else f"; there are {', '.join(CALLS)}"
            return Answer("Failed", reason=f"Unsupported: ssm has no API `{api}` here{known}")
        given = {name: value for name, value in work.inputs.items() if name not in NOT_SENT}
        return Answer(outputs=call(self._house, work, given))
