"""Actions of Automation documents: what each takes, what it gives, how long it may take.

A table, so that reading, linting and showing agree. SSM's own limits and defaults, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from reconciler.core.problem import nearest
from reconciler.documents.plugins import PLUGINS
from reconciler.documents.rules import Input, needed

if TYPE_CHECKING:
    from collections.abc import Mapping

OutputType = Literal["String", "StringList", "Integer", "Boolean", "StringMap", "MapList"]

WEEK = 604_800


@dataclass(frozen=True, slots=True)
class Action:
    """What one action is. `open`: it takes any other input too, as an API call does.

    `timeout` ends a step that says nothing itself, None where SSM has no limit of its own. `decided`: this program's
    own logic carries it out; every other one is work that something outside does.
    """

    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: Mapping[str, OutputType] = field(default_factory=dict)
    open: bool = False
    timeout: int | None = None
    decided: bool = False


def unknown(action: str) -> tuple[str, str] | None:
    """Why no Automation document can have this action, and the nearest that it can; None for one that it can."""
    if action in ACTIONS:
        return None
    near = nearest(action, ACTIONS)
    if action in PLUGINS or action.startswith("ops:"):
        return f"`{action}` belongs into Command documents", "aws:runCommand"
    return f"there is no action `{action}`", near


_TEXT, _TEXTS, _INTEGER, _BOOLEAN = Input("text"), Input("texts"), Input("integer"), Input("boolean")
_MAPPING, _MAPPINGS, _ANYTHING = Input("mapping"), Input("mappings"), Input("anything")
_CALL = {"Service": needed("text"), "Api": needed("text")}
_CHECK = {**_CALL, "PropertySelector": needed("text"), "DesiredValues": needed("texts")}
_IMAGE: Mapping[str, OutputType] = {"ImageId": "String", "ImageState": "String"}

ACTIONS: dict[str, Action] = {
    "aws:approve": Action(
        {
            "NotificationArn": _TEXT,
            "Message": _TEXT,
            "MinRequiredApprovals": _INTEGER,
            "Approvers": needed("texts"),
        },
        {"ApprovalStatus": "String", "ApproverDecisions": "MapList"},
        timeout=WEEK,
        decided=True,
    ),
    "aws:assertAwsResourceProperty": Action(_CHECK, open=True),
    "aws:branch": Action({"Choices": needed("mappings"), "Default": _TEXT}, decided=True),
    "aws:changeInstanceState": Action(
        {
            "InstanceIds": needed("texts"),
            "DesiredState": needed("text", "running", "stopped", "terminated"),
            "CheckStateOnly": _BOOLEAN,
            "Force": _BOOLEAN,
            "AdditionalInfo": _TEXT,
        },
        {"InstanceStates": "StringList"},
        timeout=3600,
    ),
    "aws:copyImage": Action(
        {
            "SourceImageId": needed("text"),
            "SourceRegion": needed("text"),
            "ImageName": needed("text"),
            "ImageDescription": _TEXT,
            "Encrypted": _BOOLEAN,
            "KmsKeyId": _TEXT,
            "ClientToken": _TEXT,
        },
        _IMAGE,
    ),
    "aws:createImage": Action(
        {
            "InstanceId": needed("text"),
            "ImageName": needed("text"),
            "ImageDescription": _TEXT,
            "NoReboot": _BOOLEAN,
            "BlockDeviceMappings": _ANYTHING,
        },
        _IMAGE,
    ),
    "aws:createStack": Action(
        {
            "StackName": needed("text"),
            "TemplateBody": _ANYTHING,
            "TemplateURL": _TEXT,
            "Parameters": _ANYTHING,
            "Capabilities": _TEXTS,
            "ClientRequestToken": _TEXT,
            "DisableRollback": _BOOLEAN,
            "NotificationARNs": _TEXTS,
            "OnFailure": Input("text", choices=("DO_NOTHING", "ROLLBACK", "DELETE")),
            "ResourceTypes": _TEXTS,
            "RoleARN": _TEXT,
            "StackPolicyBody": _ANYTHING,
            "StackPolicyURL": _TEXT,
            "Tags": _MAPPINGS,
            "TimeoutInMinutes": _INTEGER,
        },
        {"StackId": "String", "StackStatus": "String", "StackStatusReason": "String"},
    ),
    "aws:createTags": Action(
        {
            "ResourceIds": needed("texts"),
            "ResourceType": Input("text", choices=("EC2", "ManagedInstance", "MaintenanceWindow", "Parameter")),
            "Tags": needed("mappings"),
        },
    ),
    "aws:deleteImage": Action({"ImageId": needed("text")}),
    "aws:deleteStack": Action(
        {"StackName": needed("text"), "ClientRequestToken": _TEXT, "RetainResources": _TEXTS, "RoleARN": _TEXT},
    ),
    "aws:executeAutomation": Action(
        {
            "DocumentName": needed("text"),
            "DocumentVersion": _TEXT,
            "RuntimeParameters": _MAPPING,
            "MaxConcurrency": _TEXT,
            "MaxErrors": _TEXT,
            "Tags": _MAPPINGS,
            "TargetLocations": _MAPPINGS,
            "TargetMaps": _MAPPINGS,
            "TargetParameterName": _TEXT,
            "Targets": _MAPPINGS,
        },
        {"Output": "StringList", "ExecutionId": "String", "Status": "String"},
    ),
    "aws:executeAwsApi": Action(_CALL, open=True),
    "aws:executeScript": Action(
        {
            "Runtime": needed("text"),
            "Handler": _TEXT,
            "InputPayload": _MAPPING,
            "Script": _TEXT,
            "Attachment": _TEXT,
        },
        {"Payload": "StringMap"},
        timeout=600,
    ),
    "aws:executeStateMachine": Action(
        {"stateMachineArn": needed("text"), "name": _TEXT, "input": _ANYTHING},
        {"executionArn": "String", "output": "String"},
    ),
    "aws:invokeLambdaFunction": Action(
        {
            "FunctionName": needed("text"),
            "Qualifier": _TEXT,
            "InvocationType": Input("text", choices=("Event", "RequestResponse", "DryRun")),
            "LogType": Input("text", choices=("None", "Tail")),
            "ClientContext": _ANYTHING,
            "InputPayload": _ANYTHING,
            "Payload": _ANYTHING,
        },
        {"StatusCode": "String", "FunctionError": "String", "LogResult": "String", "Payload": "String"},
    ),
    "aws:invokeWebhook": Action(
        {"IntegrationName": needed("text"), "Body": _ANYTHING},
        {"Response": "String", "ResponseCode": "Integer"},
    ),
    "aws:loop": Action(
        {
            "Steps": needed("mappings"),
            "Iterators": _ANYTHING,
            "IteratorDataType": Input("text", choices=("Boolean", "Integer", "String", "StringMap")),
            "LoopCondition": _MAPPING,
            "MaxIterations": _INTEGER,
        },
        {"CurrentIteration": "Integer", "CurrentIteratorValue": "String"},
        decided=True,
    ),
    "aws:pause": Action(timeout=WEEK, decided=True),
    "aws:runCommand": Action(
        {
            "DocumentName": needed("text"),
            "DocumentVersion": _TEXT,
            "InstanceIds": _TEXTS,
            "Targets": _MAPPINGS,
            "Parameters": _MAPPING,
            "CloudWatchOutputConfig": _MAPPING,
            "Comment": _TEXT,
            "DocumentHash": _TEXT,
            "DocumentHashType": Input("text", choices=("Sha256", "Sha1")),
            "MaxConcurrency": _TEXT,
            "MaxErrors": _TEXT,
            "NotificationConfig": _MAPPING,
            "OutputS3BucketName": _TEXT,
            "OutputS3KeyPrefix": _TEXT,
            "ServiceRoleArn": _TEXT,
            "TimeoutSeconds": _INTEGER,
        },
        {"CommandId": "String", "Status": "String", "ResponseCode": "Integer", "Output": "String"},
    ),
    "aws:runInstances": Action(
        {"ImageId": needed("text"), "InstanceType": _TEXT},
        {"InstanceIds": "StringList", "InstanceStates": "StringList"},
        open=True,
    ),
    "aws:sleep": Action({"Duration": _TEXT, "Timestamp": _TEXT}, decided=True),
    "aws:updateVariable": Action({"Name": needed("text"), "Value": needed("anything")}, decided=True),
    "aws:waitForAwsResourceProperty": Action(_CHECK, open=True, timeout=3600),
}
