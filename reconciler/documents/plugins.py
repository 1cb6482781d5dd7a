"""SSM's plugins: what each action of Command documents takes, where it runs, and what it needs that is not here.

A table, as `runbook.actions` is one for Automation. What agents run themselves has types of its own beside it (see
`agent.contract.inputs`), which then have the last word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from reconciler.documents.rules import Input, needed

if TYPE_CHECKING:
    from collections.abc import Mapping

Lack = Literal["", "SecureStrings", "aws", "packages", "platform", "sessions", "windows"]
"""What a step can need that this system does not have."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """What one action is. `lacks` is what it always needs and this system has not, empty for nothing."""

    inputs: Mapping[str, Input] = field(default_factory=dict)
    lacks: Lack = ""


_TEXT, _TEXTS, _BOOLEAN, _MAPPING = Input("text"), Input("texts"), Input("boolean"), Input("mapping")
_ID = {"id": _TEXT}
_SCRIPT = {
    **_ID,
    "runCommand": Input("texts", required=True, instead="commands"),
    "workingDirectory": _TEXT,
    "timeoutSeconds": _TEXT,
}
_SWITCH = Input("text", choices=("Enabled", "Disabled"))
_AGENT = {
    **_ID,
    "agentName": needed("text"),
    "allowDowngrade": _BOOLEAN,
    "source": needed("text"),
    "targetVersion": _TEXT,
}

PLUGINS: dict[str, Plugin] = {
    "aws:applications": Plugin(
        {
            **_ID,
            "action": needed("text", "Install", "Repair", "Uninstall"),
            "parameters": _TEXT,
            "source": needed("text"),
            "sourceHash": _TEXT,
        },
        "windows",
    ),
    "aws:cloudWatch": Plugin({**_ID, "properties": Input("anything")}, "windows"),
    "aws:configureDocker": Plugin({**_ID, "action": needed("text", "Install", "Uninstall")}),
    "aws:configurePackage": Plugin(
        {
            **_ID,
            "name": needed("text"),
            "action": needed("text", "Install", "Uninstall"),
            "installationType": Input("text", choices=("Uninstall and reinstall", "In-place update")),
            "additionalArguments": _MAPPING,
            "version": _TEXT,
            "repository": _TEXT,
        },
        "packages",
    ),
    "aws:domainJoin": Plugin(
        {
            **_ID,
            "directoryId": needed("text"),
            "directoryName": needed("text"),
            "directoryOU": _TEXT,
            "dnsIpAddresses": _TEXTS,
            "hostname": _TEXT,
            "keepHostName": _BOOLEAN,
        },
        "aws",
    ),
    "aws:downloadContent": Plugin(
        {
            **_ID,
            "sourceType": needed("text", "GitHub", "Git", "HTTP", "S3", "SSMDocument"),
            "sourceInfo": needed("mapping"),
            "destinationPath": _TEXT,
        }
    ),
    "aws:psModule": Plugin(
        {
            **_ID,
            "runCommand": _TEXTS,
            "source": needed("text"),
            "sourceHash": _TEXT,
            "workingDirectory": _TEXT,
            "timeoutSeconds": _TEXT,
        },
        "windows",
    ),
    "aws:refreshAssociation": Plugin({**_ID, "associationIds": _TEXTS}),
    "aws:runDockerAction": Plugin(
        {
            **_ID,
            "action": needed("text"),
            "container": _TEXT,
            "image": _TEXT,
            "cmd": _TEXT,
            "memory": _TEXT,
            "cpuShares": _TEXT,
            "volume": _TEXTS,
            "env": _TEXT,
            "user": _TEXT,
            "publish": _TEXT,
        }
    ),
    "aws:runDocument": Plugin(
        {
            **_ID,
            "documentType": needed("text", "LocalPath", "SSMDocument"),
            "documentPath": _TEXT,
            "documentParameters": _MAPPING,
        }
    ),
    "aws:runPowerShellScript": Plugin(_SCRIPT),
    "aws:runShellScript": Plugin(_SCRIPT),
    "aws:softwareInventory": Plugin(
        {
            **_ID,
            "applications": _SWITCH,
            "awsComponents": _SWITCH,
            "billingInfo": _SWITCH,
            "customInventory": _SWITCH,
            "customInventoryDirectory": _TEXT,
            "files": _TEXT,
            "instanceDetailedInformation": _SWITCH,
            "networkConfig": _SWITCH,
            "services": _SWITCH,
            "windowsRegistry": _TEXT,
            "windowsRoles": _SWITCH,
            "windowsUpdates": _SWITCH,
        }
    ),
    "aws:updateAgent": Plugin(_AGENT, "windows"),
    "aws:updateSsmAgent": Plugin(_AGENT),
}
