"""ops:kernelModule. Whether a module is loaded now, whether it is at boot, and with what options.

What modprobe goes by is written first, then the module is loaded or taken out, then what is loaded at boot: so nothing
that the kernel refuses waits for the next boot, and what is to be kept out cannot come back in between.
"""

from __future__ import annotations

from typing import List, Tuple

from agent.contract.claims import Claim
from agent.contract.inputs.files import FileInputs
from agent.contract.inputs.machine import KernelModuleInputs
from agent.contract.paths import module_files
from agent.contract.record import dataclass
from agent.host.port import Host
from agent.steps.derived import (
    FILE,
    Files,
    apply_files,
    file_changes,
    observe_files,
    one_line,
    root_file,
)
from agent.steps.execution import ended_well
from agent.steps.step import Applied, Change, Given, State, StepFailed

LOADED, BUILT_IN, NOT_LOADED, NOT_SEEN = "loaded", "built in", "not loaded", ""
_TIME = 60.0
_LIST_AT_MOST = 4 * 1024 * 1024


@dataclass(frozen=True)
class Observed:
    """The two files, and the module in the kernel; a sandbox has no kernel of its own to look at."""

    files: Files
    module: str


class KernelModuleStep:
    """A module that is in the kernel, or out of it."""

    def observe(self, host: Host, desired: KernelModuleInputs, given: Given) -> Observed:
        module = NOT_SEEN if host.sandbox else _module(host, _name(desired))
        return Observed(observe_files(host, _files(desired), given), module)

    def changes(self, desired: KernelModuleInputs, observed: Observed, given: Given) -> List[Change]:
        found = file_changes(_files(desired), observed.files, given)
        wanted, module = desired.state == "present", observed.module
        if module == BUILT_IN and not wanted:
            raise StepFailed("%s is built into this kernel: nothing can take it out" % desired.name)
        if module and wanted != (module in (LOADED, BUILT_IN)):
            found.append(Change(Claim("module", _name(desired)), module, LOADED if wanted else NOT_LOADED))
        return found

    def apply(self, host: Host, desired: KernelModuleInputs, changes: List[Change], given: Given) -> Applied:
        rules, at_boot = _files(desired)
        apply_files(host, [rules], changes, given)
        if any(change.claim.kind == "module" for change in changes):
            _switch(host, _name(desired), load=desired.state == "present")
        apply_files(host, [at_boot], changes, given)
        return Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        if claim.kind == "path":
            return FILE.state(observed.files[claim.name], claim)
        return _state(observed.module)

    def current(self, host: Host, claim: Claim, left: State) -> State:
        if claim.kind == "path":
            return FILE.current(host, claim, left)
        return _state(NOT_SEEN if host.sandbox else _module(host, claim.name))

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        if claim.kind == "path":
            FILE.restore(host, claim, prior, left)
        else:
            _switch(host, claim.name, load=bool(prior and prior["loaded"]))


def _state(module: str) -> State:
    return {"loaded": module == LOADED} if module else None


def _name(desired: KernelModuleInputs) -> str:
    """The module as the kernel has it."""
    return desired.name.replace("-", "_")


def _files(desired: KernelModuleInputs) -> Tuple[FileInputs, FileInputs]:
    """What modprobe goes by, and what is loaded at boot."""
    name, options = _name(desired), " ".join(one_line("options", desired.options).split())
    rules, at_boot = module_files(name)
    lines = {
        "present": "options %s %s\n" % (name, options) if options else "",
        "blacklisted": "blacklist %s\ninstall %s /bin/false\n" % (name, name),
    }.get(desired.state, "")
    return root_file(rules, lines, present=bool(lines)), root_file(
        at_boot, name + "\n", present=desired.state == "present"
    )


def _module(host: Host, name: str) -> str:
    if host.lstat("/sys/module/%s/initstate" % name) is not None:
        return LOADED
    if host.lstat("/sys/module/" + name) is not None or name in _built_in(host):
        return BUILT_IN
    return NOT_LOADED


def _built_in(host: Host) -> List[str]:
    """Modules of this kernel that are always there; some of them have no directory in /sys/module."""
    try:
        release = host.read("/proc/sys/kernel/osrelease").decode().strip()
        listed = host.read("/lib/modules/%s/modules.builtin" % release, _LIST_AT_MOST)
    except OSError:
        return []
    files = listed.decode("utf-8", "replace").splitlines()
    return [path.rpartition("/")[2].partition(".")[0].replace("-", "_") for path in files]


def _switch(host: Host, name: str, *, load: bool) -> None:
    argv = ["modprobe", *([] if load else ["--remove"]), "--", name]
    try:
        ran = host.run(argv, timeout=_TIME)
    except FileNotFoundError:
        raise StepFailed("this node has no modprobe; is kmod installed?") from None
    ended_well(ran, "modprobe %s" % name, _TIME)
