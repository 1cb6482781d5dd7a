"""Which action is which step: one explicit table."""

from __future__ import annotations

import importlib
from typing import Any, Dict, Iterator, Mapping, Optional, cast

from agent.contract.inputs import ACTIONS, CUSTOM, action_of
from agent.steps.step import BatchStep, RestorableStep, ScriptedStep, Step


class _Table(Mapping[str, Any]):
    """Steps by their actions, from what makes them: `module.Name`. A module is imported when its step is asked for.

    A server needs a few of all these steps, and what is not imported takes neither time nor memory. All actions of a
    repository's own are one step, `custom`, where the table has it; they have no number and are not told one by one.
    """

    def __init__(self, makers: Mapping[str, str], custom: str = "") -> None:
        self._makers, self._custom = makers, custom
        self._made: Dict[str, Any] = {}

    def __getitem__(self, action: str) -> Any:
        maker = self._maker(action)
        if not maker:
            raise KeyError(action)
        if maker not in self._made:
            module, _, name = maker.partition(".")
            self._made[maker] = getattr(importlib.import_module("agent.steps." + module), name)()
        return self._made[maker]

    def __contains__(self, action: object) -> bool:
        return bool(self._maker(str(action)))

    def _maker(self, action: str) -> str:
        return self._custom if action.startswith(CUSTOM) else self._makers.get(action, "")

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


_RESTORABLE = {
    "ops:archive": "archive.ArchiveStep",
    "ops:authorizedKey": "authorized_key.AuthorizedKeyStep",
    "ops:block": "block.BlockStep",
    "ops:certificate": "certificate.CertificateStep",
    "ops:container": "container.ContainerStep",
    "ops:cron": "cron.CronStep",
    "ops:directory": "directory.DirectoryStep",
    "ops:download": "download.DownloadStep",
    "ops:file": "file.FileStep",
    "ops:firewall": "firewall.FirewallStep",
    "ops:git": "git.GitStep",
    "ops:group": "group.GroupStep",
    "ops:hostname": "live.HostnameStep",
    "ops:hosts": "hosts.HostsStep",
    "ops:kernelModule": "kernel_module.KernelModuleStep",
    "ops:line": "line.LineStep",
    "ops:link": "link.LinkStep",
    "ops:locale": "locale.LocaleStep",
    "ops:mount": "mount.MountStep",
    "ops:package": "package.PackageStep",
    "ops:repository": "repository.RepositoryStep",
    "ops:service": "service.ServiceStep",
    "ops:sudoers": "sudoers.SudoersStep",
    "ops:sysctl": "live.SysctlStep",
    "ops:timer": "timer.TimerStep",
    "ops:timezone": "timezone.TimezoneStep",
    "ops:unit": "unit.UnitStep",
    "ops:user": "user.UserStep",
}
_SCRIPTS = {
    "aws:configureDocker": "docker.ConfigureDockerStep",
    "aws:executeScript": "confined.ConfinedStep",
    "aws:runDockerAction": "docker.RunDockerActionStep",
    "aws:runPowerShellScript": "shell.PowerShellStep",
    "aws:runShellScript": "shell.ShellStep",
    "aws:updateSsmAgent": "own_agent.UpdateAgentStep",
    "ops:script": "script.ScriptStep",
}

_CUSTOM = "custom.CustomStep"
_BATCHES = {action: _RESTORABLE[action] for action in ("ops:directory", "ops:file", "ops:link")}
BATCHES = cast(Mapping[str, BatchStep], _Table(_BATCHES))
RESTORABLE = cast(Mapping[str, RestorableStep], _Table(_RESTORABLE))
SCRIPTS = cast(Mapping[str, ScriptedStep], _Table(_SCRIPTS, _CUSTOM))
_ONCE = {
    "aws:downloadContent": "download_content.DownloadContentStep",
    "aws:refreshAssociation": "own_agent.RefreshAssociationStep",
    "aws:softwareInventory": "software_inventory.SoftwareInventoryStep",
}
STEPS = cast(Mapping[str, Step], _Table({**_RESTORABLE, **_SCRIPTS, **_ONCE}, _CUSTOM))
OF_OTHER_STEPS = ("aws:runDocument",)
"""Actions that are no step by themselves: other steps are what they do."""
_WINDOWS = "Windows, which no agent of this version runs on"
NEEDS = {
    "aws:applications": _WINDOWS,
    "aws:cloudWatch": _WINDOWS,
    "aws:configurePackage": "packages, which this version does not distribute",
    "aws:domainJoin": "AWS's directory service",
    "aws:psModule": _WINDOWS,
    "aws:updateAgent": _WINDOWS,
}
"""SSM's actions that are known and never work here, and what they would need."""
NOT_IN_A_SANDBOX = {
    "aws:softwareInventory": "what there is, is on the machine itself, not in the sandbox",
    "ops:authorizedKey": "a sandbox has no accounts",
    "ops:certificate": "what expires, and what renews it, is the machine's, not the sandbox's",
    "ops:container": "containers run on the machine itself, not in the sandbox",
    "ops:git": "git would act on the machine itself, not on the sandbox",
    "ops:group": "a sandbox has no accounts",
    "ops:package": "a sandbox has no packages",
    "ops:service": "a sandbox has no services",
    "ops:user": "a sandbox has no accounts",
}
NO_SCRIPTS = "a script would act on the machine itself, not on the sandbox; --scripts runs it"


def versions() -> Dict[str, int]:
    """The contract version of each action that this agent does, as its Hello says."""
    return {action: ACTIONS[action].version for action in sorted((*STEPS, *OF_OTHER_STEPS))}


def unsupported(action: str, version: int) -> Optional[str]:
    """Why this agent does not do an action at a contract version; None where it does."""
    if action in NEEDS:
        return "Unsupported: needs %s" % NEEDS[action]
    if action not in STEPS and action not in OF_OTHER_STEPS:
        return "Unsupported: this agent does not know the action %s; upgrade it" % action
    known = action_of(action)
    assert known is not None
    if version > known.version:
        return "Unsupported: %s at contract version %d; this agent does %d: upgrade it" % (
            action,
            version,
            known.version,
        )
    return None
