"""A setting of the kernel: a file that sets it at boot, and what it is now under /proc/sys.

Taking the file away leaves the present value, which is the next boot's affair. A sandbox has only the file.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional

from agent.contract.claims import Claim, unsafe_path
from agent.contract.inputs.files import FileInputs
from agent.contract.inputs.machine import SysctlInputs
from agent.contract.inputs.network import HostnameInputs
from agent.contract.paths import HOSTNAME_FILE, sysctl_file
from agent.contract.record import NamedTuple, dataclass
from agent.host.port import Host
from agent.steps import file
from agent.steps.derived import FILE, one_line
from agent.steps.step import Applied, Change, Given, LeftAlone, State, StepFailed, why

_VALUE_AT_MOST = 4096


class Setting(NamedTuple):
    """The file, the setting's name as sysctl has it, and its value; None where the present one is left."""

    file: FileInputs
    name: str
    value: Optional[str]


@dataclass(frozen=True)
class Observed:
    """The file, and the present value; None where the kernel has no such setting, or it is not looked at."""

    file: file.Observed
    live: Optional[str] = None
    sandbox: bool = False


class LiveStep:
    """The setting that `as_setting` makes of the inputs. It may raise `StepFailed`."""

    def __init__(self, as_setting: Callable[[Any], Setting]) -> None:
        self._as_setting = as_setting

    def observe(self, host: Host, desired: Any, given: Given) -> Observed:
        setting = self._as_setting(desired)
        seen = FILE.observe(host, setting.file, given)
        return Observed(seen, None if host.sandbox else _value(host, setting.name), host.sandbox)

    def changes(self, desired: Any, observed: Observed, given: Given) -> List[Change]:
        setting = self._as_setting(desired)
        changes = FILE.changes(setting.file, observed.file, given)
        if setting.value is None or observed.sandbox or observed.live == setting.value:
            return changes
        before = "absent" if observed.live is None else observed.live
        return [*changes, Change(Claim("sysctl", setting.name), before, setting.value)]

    def apply(self, host: Host, desired: Any, changes: List[Change], given: Given) -> Applied:
        """The present value first, so that one which the kernel refuses does not wait in a file for the next boot."""
        setting = self._as_setting(desired)
        for change in changes:
            if change.claim.kind == "sysctl":
                _set(host, setting.name, change.after)
        files = [change for change in changes if change.claim.kind == "path"]
        return FILE.apply(host, setting.file, files, given) if files else Applied()

    def state(self, observed: Observed, claim: Claim) -> State:
        if claim.kind == "path":
            return FILE.state(observed.file, claim)
        return None if observed.live is None else {"value": observed.live}

    def current(self, host: Host, claim: Claim, left: State) -> State:
        if claim.kind == "path":
            return FILE.current(host, claim, left)
        value = None if host.sandbox else _value(host, claim.name)
        return None if value is None else {"value": value}

    def restore(self, host: Host, claim: Claim, prior: State, left: State) -> None:
        if claim.kind == "path":
            FILE.restore(host, claim, prior, left)
        elif prior is None:
            raise LeftAlone("what it was before is not known")
        else:
            _set(host, claim.name, prior["value"])


class SysctlStep(LiveStep):
    """A setting of the kernel."""

    def __init__(self) -> None:
        super().__init__(_sysctl)


class HostnameStep(LiveStep):
    """The node's own name."""

    def __init__(self) -> None:
        super().__init__(_hostname)


def _sysctl(desired: SysctlInputs) -> Setting:
    path, value = sysctl_file(desired.name), " ".join(one_line("value", desired.value).split())
    if desired.state == "absent":
        return Setting(FileInputs(path, state="absent"), desired.name, None)
    content = "%s = %s\n" % (desired.name, value)
    return Setting(FileInputs(path, content=content, mode="0644", owner="root", group="root"), desired.name, value)


def _hostname(desired: HostnameInputs) -> Setting:
    name = one_line("name", desired.name)
    made = FileInputs(HOSTNAME_FILE, content=name + "\n", mode="0644", owner="root", group="root")
    return Setting(made, "kernel.hostname", name)


def _path(name: str) -> str:
    """`net.ipv4.ip_forward` -> its file; a dot within a part is written `/`, as sysctl has it."""
    path = "/proc/sys/" + name.translate(str.maketrans("./", "/."))
    reason = unsafe_path(path)
    if reason:
        raise StepFailed("%s is no setting of the kernel: %s" % (name, reason))
    return path


def _value(host: Host, name: str) -> Optional[str]:
    try:
        return " ".join(host.read(_path(name), _VALUE_AT_MOST).decode("utf-8", "replace").split())
    except FileNotFoundError:
        return None


def _set(host: Host, name: str, value: str) -> None:
    try:
        host.put_value(_path(name), value.encode("utf-8") + b"\n")
    except FileNotFoundError:
        raise StepFailed("this kernel has no setting %s; is the module that brings it loaded?" % name) from None
    except OSError as error:
        raise StepFailed("the kernel does not take %s for %s: %s" % (value, name, why(error))) from error
