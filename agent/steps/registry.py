"""Which action is which step: one explicit table."""

from __future__ import annotations

from typing import Dict, Optional, Union

from agent.contract.inputs import ACTIONS
from agent.steps.authorized_key import AuthorizedKeyStep
from agent.steps.block import BlockStep
from agent.steps.certificate import CertificateStep
from agent.steps.cron import CronStep
from agent.steps.directory import DirectoryStep
from agent.steps.file import FileStep
from agent.steps.firewall import FirewallStep
from agent.steps.group import GroupStep
from agent.steps.hosts import HostsStep
from agent.steps.kernel_module import KernelModuleStep
from agent.steps.line import LineStep
from agent.steps.link import LinkStep
from agent.steps.live import LiveStep, hostname_setting, sysctl_setting
from agent.steps.locale import LocaleStep
from agent.steps.mount import MountStep
from agent.steps.package import PackageStep
from agent.steps.script import ScriptStep
from agent.steps.service import ServiceStep
from agent.steps.shell import ShellStep
from agent.steps.step import BatchStep, RestorableStep, ScriptedStep, Step
from agent.steps.sudoers import SudoersStep
from agent.steps.timer import TimerStep
from agent.steps.timezone import TimezoneStep
from agent.steps.unit import UnitStep
from agent.steps.user import UserStep

BATCHES: Dict[str, BatchStep] = {"ops:file": FileStep()}
RESTORABLE: Dict[str, RestorableStep] = {
    "ops:authorizedKey": AuthorizedKeyStep(),
    "ops:block": BlockStep(),
    "ops:certificate": CertificateStep(),
    "ops:cron": CronStep(),
    "ops:directory": DirectoryStep(),
    "ops:file": FileStep(),
    "ops:firewall": FirewallStep(),
    "ops:group": GroupStep(),
    "ops:hostname": LiveStep(hostname_setting),
    "ops:hosts": HostsStep(),
    "ops:kernelModule": KernelModuleStep(),
    "ops:line": LineStep(),
    "ops:link": LinkStep(),
    "ops:locale": LocaleStep(),
    "ops:mount": MountStep(),
    "ops:package": PackageStep(),
    "ops:service": ServiceStep(),
    "ops:sudoers": SudoersStep(),
    "ops:sysctl": LiveStep(sysctl_setting),
    "ops:timer": TimerStep(),
    "ops:timezone": TimezoneStep(),
    "ops:unit": UnitStep(),
    "ops:user": UserStep(),
}
SCRIPTS: Dict[str, ScriptedStep] = {"ops:script": ScriptStep(), "aws:runShellScript": ShellStep()}
STEPS: Dict[str, Union[Step, RestorableStep, BatchStep, ScriptedStep]] = {**RESTORABLE, **SCRIPTS}
NOT_IN_A_SANDBOX = {
    "ops:authorizedKey": "a sandbox has no accounts",
    "ops:certificate": "what expires, and what renews it, is the machine's, not the sandbox's",
    "ops:group": "a sandbox has no accounts",
    "ops:package": "a sandbox has no packages",
    "ops:service": "a sandbox has no services",
    "ops:user": "a sandbox has no accounts",
}
NO_SCRIPTS = "a script would act on the machine itself, not on the sandbox; --scripts runs it"


def versions() -> Dict[str, int]:
    """The contract version of each action that this agent does, as its Hello says."""
    return {action: ACTIONS[action].version for action in sorted(STEPS)}


def unsupported(action: str, version: int) -> Optional[str]:
    """Why this agent does not do an action at a contract version; None where it does."""
    if action not in STEPS:
        return "Unsupported: this agent does not know the action %s; upgrade it" % action
    if version > ACTIONS[action].version:
        return "Unsupported: %s at contract version %d; this agent does %d: upgrade it" % (
            action,
            version,
            ACTIONS[action].version,
        )
    return None
