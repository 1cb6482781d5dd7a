"""The machine itself: its kernel, file systems, time zone and locale."""

from __future__ import annotations

from typing import Dict, List

from agent.contract.codec import Wire, described
from agent.contract.inputs import fields
from agent.contract.record import dataclass

_SETTING = "^[a-z0-9_-]+([.][A-Za-z0-9_:@-]+(/[A-Za-z0-9_:@-]+)*)+$"
_ZONE = "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"
_LOCALE = "^[A-Za-z][A-Za-z0-9_.@-]*$"
MOUNT_SECRETS = ("password", "passwd", "pass")
"""Options of a mount whose value is a secret, and so cannot stand in a file that everybody may read."""


@dataclass(frozen=True)
class SysctlInputs(Wire):
    """A setting of the kernel, now and at boot. Absent takes it from the boot; the present value stays."""

    name: str = described("As net.ipv4.ip_forward; a dot within a part is written /.", pattern=_SETTING)
    value: str = described("The value; blanks count once. Required unless absent.", "")
    state: str = fields.state()


@dataclass(frozen=True)
class KernelModuleInputs(Wire):
    """A module of the kernel, now and at boot: loaded, not loaded, or kept out."""

    name: str = described("Name of the module; - and _ in it mean the same.", pattern=fields.PLAIN)
    options: str = described("Its options, as modprobe.d has them; they hold from the next time it is loaded.", "")
    state: str = described(
        "`present` (default), `absent`, or `blacklisted`: nothing may load it.",
        "present",
        pattern="^(present|absent|blacklisted)$",
    )


@dataclass(frozen=True)
class MountInputs(Wire):
    """A file system that is mounted now and, by its line in /etc/fstab, at boot."""

    path: str = described("Absolute path that it is mounted on.")
    device: str = described(
        "As fstab has it: a device, UUID=..., a directory with `bind`, tmpfs. Not needed to be absent.", ""
    )
    type: str = described("Type of the file system; `none` with `bind`.", "auto", pattern="^[a-z0-9._-]+$")
    options: List[str] = described("Its options, as fstab has them: ro, size=64m, bind.", [], one_or_many=True)
    passno: int = described("Order in which it is checked at boot; 0 is never.", 0)
    state: str = fields.state()


@dataclass(frozen=True)
class TimezoneInputs(Wire):
    """The time zone of the node."""

    name: str = described("As Europe/Berlin or UTC: a file below /usr/share/zoneinfo.", pattern=_ZONE)


@dataclass(frozen=True)
class LocaleInputs(Wire):
    """The node's default locale, and others that are to be had."""

    name: str = described("The default, LANG, as de_DE.UTF-8.", pattern=_LOCALE)
    generate: List[str] = described("Others that are to be there.", [])
    variables: Dict[str, str] = described("Other defaults: LC_TIME and its like.", {})
