"""What each action takes: one frozen dataclass per action, by subject, with the version of its contract.

Belongs here: the types of inputs and the table of actions; `fields` has what several of them say in the same words.
Does not belong here: what a step owns (`claims`), what is wrong with a value beyond its type, what a step does.

A default never changes within a contract version, for a field equal to its default is not in the digest. `source`
names a file of the config repository; the body that a node gets says which bytes that is (`Body.files`).
"""

from __future__ import annotations

import importlib
from typing import Dict, Optional, Type, cast

from agent.contract.codec import Wire
from agent.contract.record import NamedTuple


class Action(NamedTuple):
    """An action's input type (`module.Name`), contract version, and whether it holds a state (declarative) or is run.

    `returns`: what it is run for is a value, JSON, which it writes to standard output. `seconds` are those that a run
    may take whose inputs do not say.
    A type is imported when it is asked for: one node meets a few of all these.
    """

    named: str
    version: int
    declarative: bool
    returns: bool = False
    seconds: int = 0

    @property
    def inputs(self) -> Type[Wire]:
        module, _, name = self.named.partition(".")
        return cast(Type[Wire], getattr(importlib.import_module("agent.contract.inputs." + module), name))


ACTIONS: Dict[str, Action] = {
    "ops:file": Action("files.FileInputs", 1, True),
    "ops:download": Action("files.DownloadInputs", 1, True),
    "ops:archive": Action("files.ArchiveInputs", 1, True),
    "ops:directory": Action("files.DirectoryInputs", 1, True),
    "ops:link": Action("files.LinkInputs", 1, True),
    "ops:line": Action("files.LineInputs", 1, True),
    "ops:block": Action("files.BlockInputs", 1, True),
    "ops:hosts": Action("network.HostsInputs", 1, True),
    "ops:git": Action("files.GitInputs", 1, True),
    "ops:package": Action("packages.PackageInputs", 1, True),
    "ops:repository": Action("packages.RepositoryInputs", 1, True),
    "ops:service": Action("services.ServiceInputs", 1, True),
    "ops:unit": Action("services.UnitInputs", 1, True),
    "ops:timer": Action("services.TimerInputs", 1, True),
    "ops:cron": Action("services.CronInputs", 1, True),
    "ops:sudoers": Action("accounts.SudoersInputs", 1, True),
    "ops:sysctl": Action("machine.SysctlInputs", 1, True),
    "ops:kernelModule": Action("machine.KernelModuleInputs", 1, True),
    "ops:mount": Action("machine.MountInputs", 1, True),
    "ops:firewall": Action("network.FirewallInputs", 1, True),
    "ops:hostname": Action("network.HostnameInputs", 1, True),
    "ops:timezone": Action("machine.TimezoneInputs", 1, True),
    "ops:locale": Action("machine.LocaleInputs", 1, True),
    "ops:certificate": Action("network.CertificateInputs", 1, True),
    "ops:container": Action("services.ContainerInputs", 1, True),
    "ops:user": Action("accounts.UserInputs", 1, True),
    "ops:group": Action("accounts.GroupInputs", 1, True),
    "ops:authorizedKey": Action("accounts.AuthorizedKeyInputs", 1, True),
    "ops:script": Action("scripts.ScriptInputs", 1, True),
    "aws:configureDocker": Action("services.ConfigureDockerInputs", 1, False),
    "aws:refreshAssociation": Action("agent.RefreshAssociationInputs", 1, False),
    "aws:runDockerAction": Action("services.RunDockerActionInputs", 1, False),
    "aws:runPowerShellScript": Action("scripts.RunPowerShellScriptInputs", 1, False),
    "aws:runShellScript": Action("scripts.RunShellScriptInputs", 1, False),
    "aws:updateSsmAgent": Action("agent.UpdateSsmAgentInputs", 1, False),
    "aws:softwareInventory": Action("inventory.SoftwareInventoryInputs", 1, False),
    "aws:executeScript": Action("scripts.ExecuteScriptInputs", 1, False, returns=True),
    "aws:downloadContent": Action("content.DownloadContentInputs", 1, False, seconds=7200),
    "aws:runDocument": Action("content.RunDocumentInputs", 1, False),
}
CUSTOM = "x:"
"""What the names of actions begin with that are a config repository's own."""
_CUSTOM = Action("custom.CustomInputs", 1, True)


def action_of(name: str) -> Optional[Action]:
    """What an action is; None for one that this version does not know."""
    return _CUSTOM if name.startswith(CUSTOM) else ACTIONS.get(name)
