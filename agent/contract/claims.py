"""Claims: what a step owns on a node, so that two owners are found before either acts.

A claim is `(kind, name, part?, exclusive | shared)`, written `path:/etc/motd` or `path:/etc/hosts#line:db`. Exclusive
meets anything with the same kind and name; shared claims meet only where the part is the same.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from agent.contract import paths, publickey
from agent.contract.inputs import CUSTOM
from agent.contract.record import NamedTuple

if TYPE_CHECKING:
    from agent.contract.inputs import accounts, custom, files, machine, network, packages, services


class Claim(NamedTuple):
    """One thing owned. `part` is empty for the whole."""

    kind: str
    name: str
    part: str = ""
    exclusive: bool = True

    def __str__(self) -> str:
        return "%s:%s" % (self.kind, self.name) + ("#" + self.part if self.part else "")

    @property
    def owned(self) -> str:
        """The thing that two claims are compared on: kind and name without the part."""
        return "%s:%s" % (self.kind, self.name)


def meet(one: Claim, other: Claim) -> bool:
    """Whether two claims on one node exclude each other."""
    if one.kind != other.kind or one.name != other.name:
        return False
    return one.exclusive or other.exclusive or one.part == other.part


def unsafe_path(path: str) -> Optional[str]:
    """Why a path cannot be managed, or None: it must be absolute and already normalised, without `..`."""
    if not path.startswith("/"):
        return "it is not absolute"
    if "\0" in path:
        return "it holds a NUL byte"
    if ".." in path.split("/"):
        return "it has a `..` part"
    if path != "/" and path != posixpath.normpath(path):
        return "it is not normalised (write %s)" % posixpath.normpath(path)
    if path == "/":
        return "it is the root directory"
    return None


def claims_of(action: str, step_inputs: Any) -> List[Claim]:
    """What a step with these inputs owns. Actions that only run something own nothing."""
    claim = _custom if action.startswith(CUSTOM) else _CLAIMS.get(action)
    return claim(step_inputs) if claim else []


def _path(step: Any) -> List[Claim]:
    return [Claim("path", step.path)]


def _archive(step: files.ArchiveInputs) -> List[Claim]:
    return [Claim("path", step.path), Claim("tree", step.path)]


def _line(step: files.LineInputs) -> List[Claim]:
    return [Claim("path", step.path, "line:" + (step.match or step.line), exclusive=False)]


def _block(step: files.BlockInputs) -> List[Claim]:
    return [Claim("path", step.path, "block:" + step.name, exclusive=False)]


def _hosts(step: network.HostsInputs) -> List[Claim]:
    family = "ipv6" if ":" in step.address else "ipv4"
    return [Claim("path", "/etc/hosts", "%s:%s" % (family, step.name), exclusive=False)]


def _packages(step: packages.PackageInputs) -> List[Claim]:
    return [Claim("package", name) for name in step.name]


def _repository(step: packages.RepositoryInputs) -> List[Claim]:
    files = [Claim("path", paths.repository_file(step.type, step.name))]
    if step.state == "absent" or step.key or step.source or step.key_url:
        files.append(Claim("path", paths.repository_key(step.type, step.name)))
    return files


def _unit(step: services.ServiceInputs) -> List[Claim]:
    return [Claim("unit", unit_name(step.name))]


def _unit_file(step: services.UnitInputs) -> List[Claim]:
    return [Claim("path", paths.unit_file(unit_name(step.name), step.drop_in))]


def _timer(step: services.TimerInputs) -> List[Claim]:
    files = [Claim("path", paths.unit_file(step.name + suffix)) for suffix in (".service", ".timer")]
    return [*files, Claim("unit", step.name + ".timer")]


def _cron(step: services.CronInputs) -> List[Claim]:
    return [Claim("path", paths.cron_file(step.name))]


def _sudoers(step: accounts.SudoersInputs) -> List[Claim]:
    return [Claim("path", paths.sudoers_file(step.name))]


def _sysctl(step: machine.SysctlInputs) -> List[Claim]:
    return [Claim("path", paths.sysctl_file(step.name)), Claim("sysctl", step.name)]


def _kernel_module(step: machine.KernelModuleInputs) -> List[Claim]:
    module = step.name.replace("-", "_")
    return [*(Claim("path", path) for path in paths.module_files(module)), Claim("module", module)]


def _mount(step: machine.MountInputs) -> List[Claim]:
    return [Claim("path", paths.FSTAB, "mount:" + step.path, exclusive=False), Claim("mount", step.path)]


def _firewall(step: network.FirewallInputs) -> List[Claim]:
    files = [Claim("path", path) for path in paths.firewall_files(step.family, step.name)]
    return [*files, Claim("table", "%s/%s" % (step.family, step.name))]


def _hostname(step: network.HostnameInputs) -> List[Claim]:
    del step
    return [Claim("path", paths.HOSTNAME_FILE), Claim("sysctl", "kernel.hostname")]


def _timezone(step: machine.TimezoneInputs) -> List[Claim]:
    del step
    return [Claim("path", paths.LOCALTIME), Claim("path", paths.TIMEZONE_FILE)]


def _locale(step: machine.LocaleInputs) -> List[Claim]:
    names = dict.fromkeys([step.name, *step.generate, *step.variables.values()])
    files = [Claim("path", path) for path in (paths.LOCALE_GEN, paths.DEBIAN_LOCALE, paths.LOCALE_CONF)]
    return [*files, *(Claim("locale", name) for name in names)]


def _certificate(step: network.CertificateInputs) -> List[Claim]:
    files = [Claim("path", path) for path in (step.path, step.key_path) if path and step.self_signed]
    return [Claim("certificate", step.path or step.endpoint or ""), *files]


def _container(step: services.ContainerInputs) -> List[Claim]:
    return [Claim("container", step.name)]


def _user(step: accounts.UserInputs) -> List[Claim]:
    return [Claim("user", step.name)]


def _group(step: accounts.GroupInputs) -> List[Claim]:
    return [Claim("group", step.name)]


def _custom(step: custom.CustomInputs) -> List[Claim]:
    return [Claim("x", step.name + (":" + step.key if step.key else ""))]


def _authorized_key(step: accounts.AuthorizedKeyInputs) -> List[Claim]:
    try:
        part = publickey.parse(step.key).fingerprint
    except publickey.NotAKey:
        part = "malformed"  # not its text, which might be a private key
    return [Claim("authorizedKeys", step.user, part, exclusive=False)]


def unit_name(name: str) -> str:
    """`nginx` -> `nginx.service`; a name with a unit suffix stays."""
    return name if name.rpartition(".")[2] in _UNIT_SUFFIXES else name + ".service"


_UNIT_SUFFIXES = ("service", "socket", "timer", "mount", "path", "target", "slice", "automount", "swap")
_CLAIMS: Dict[str, Callable[[Any], List[Claim]]] = {
    "ops:file": _path,
    "ops:download": _path,
    "ops:archive": _archive,
    "ops:directory": _path,
    "ops:link": _path,
    "ops:git": _path,
    "ops:line": _line,
    "ops:block": _block,
    "ops:hosts": _hosts,
    "ops:package": _packages,
    "ops:repository": _repository,
    "ops:service": _unit,
    "ops:unit": _unit_file,
    "ops:timer": _timer,
    "ops:cron": _cron,
    "ops:sudoers": _sudoers,
    "ops:sysctl": _sysctl,
    "ops:kernelModule": _kernel_module,
    "ops:mount": _mount,
    "ops:firewall": _firewall,
    "ops:hostname": _hostname,
    "ops:timezone": _timezone,
    "ops:locale": _locale,
    "ops:certificate": _certificate,
    "ops:container": _container,
    "ops:user": _user,
    "ops:group": _group,
    "ops:authorizedKey": _authorized_key,
}
