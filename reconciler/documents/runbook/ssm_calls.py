"""The calls of SSM's own API that this system answers when a runbook makes them."""

from __future__ import annotations

ANSWERED = frozenset(
    {
        "CancelCommand",
        "DescribeAssociation",
        "DescribeAutomationExecutions",
        "DescribeDocument",
        "DescribeInstanceInformation",
        "GetAutomationExecution",
        "GetCommandInvocation",
        "GetDocument",
        "GetParameter",
        "GetParameters",
        "GetParametersByPath",
        "ListAssociations",
        "ListCommandInvocations",
        "ListCommands",
        "ListDocuments",
        "ListInventoryEntries",
        "ListTagsForResource",
        "SendAutomationSignal",
        "SendCommand",
        "StartAutomationExecution",
        "StopAutomationExecution",
    }
)


def folded(api: str) -> str:
    """The name of a call without regard to how it is written: `send_command`, `sendCommand`, `SendCommand`."""
    return api.replace("_", "").casefold()


_FOLDED = frozenset(map(folded, ANSWERED))


def is_answered(api: str) -> bool:
    """Whether there is an answer to this call."""
    return folded(api) in _FOLDED
