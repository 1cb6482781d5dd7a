"""What a machine as a whole is set to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.contract.inputs.machine import MOUNT_SECRETS
from reconciler.documents.inputs.flaw import Flaw
from reconciler.documents.inputs.words import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.contract.inputs import machine
    from reconciler.documents.inputs.flaw import Checks


_LOCALE = re.compile(r"[A-Z][\w.@-]*\Z", re.IGNORECASE)


def _sysctl(typed: machine.SysctlInputs) -> Iterator[Flaw]:
    if typed.state == "present" and (not typed.value.strip() or "\n" in typed.value):
        yield Flaw("", "give no `value`", "one line, as sysctl takes it")


def _kernel_module(typed: machine.KernelModuleInputs) -> Iterator[Flaw]:
    yield from one_line("options", typed.options)
    if typed.options and typed.state != "present":
        yield Flaw("options", f"is given for a module that is to be {typed.state}")


def _mount(typed: machine.MountInputs) -> Iterator[Flaw]:
    if typed.state == "present" and not typed.device.strip():
        yield Flaw("", "give no `device`", "what is mounted, as fstab has it")
    for option in typed.options:
        if not option or any(mark in option for mark in ", \t\n"):
            yield Flaw("options", f"has `{option}`, which is no single option")
        if option.partition("=")[0] in MOUNT_SECRETS:
            yield Flaw("options", "hold a password, and everybody may read /etc/fstab", "`credentials=FILE`")
    if not 0 <= typed.passno <= 9:
        yield Flaw("passno", f"is `{typed.passno}`", "a number from 0 to 9")


def _locale(typed: machine.LocaleInputs) -> Iterator[Flaw]:
    for name in [*typed.generate, *typed.variables.values()]:
        if not _LOCALE.match(name):
            yield Flaw("", f"have `{name}`, which is no locale", "a name as de_DE.UTF-8")
    for name in typed.variables:
        if not re.match(r"(LC_[A-Z]+|LANGUAGE)\Z", name):
            yield Flaw("variables", f"has `{name}`", "LC_TIME and its like")


CHECKS: Checks = {
    "ops:sysctl": _sysctl,
    "ops:kernelModule": _kernel_module,
    "ops:mount": _mount,
    "ops:locale": _locale,
}
