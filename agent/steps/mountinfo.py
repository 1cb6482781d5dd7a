"""What is mounted, read from the kernel's own list, and how it compares with what fstab says. Pure but for `mounted`.

Compared is what the kernel tells: the flags of a mount, and options with a value that it shows. What only mount(8) and
systemd read (`nofail`, `x-...`), and options that are shown only where they differ from a default, cannot be.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from agent.contract.record import NamedTuple
from agent.host.port import Host

_LIST = "/proc/self/mountinfo"
_LIST_AT_MOST = 16 * 1024 * 1024
_SHOWN = ("ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "sync", "dirsync")
_OPPOSITES = {"rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "diratime": "nodiratime", "async": "sync"}
_NOT_BY_DEFAULT = {"ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec"}
"""Flags that a mount has only where they are asked for, with what takes them away."""
_IMPLIED = {"user": ("nosuid", "nodev", "noexec"), "users": ("nosuid", "nodev", "noexec"), "owner": ("nosuid", "nodev")}
_ALWAYS_SHOWN = ("size", "nr_inodes")
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


class Mounted(NamedTuple):
    """One mount: `root` is the directory of the file system that is seen at `path`."""

    device: str
    root: str
    path: str
    type: str
    source: str
    options: Tuple[str, ...]

    def __str__(self) -> str:
        return "%s %s %s" % (self.source, self.type, ",".join(self.options))


def mounted(host: Host) -> List[Mounted]:
    """Everything that is mounted where the agent runs, lowest first."""
    lines = host.read(_LIST, _LIST_AT_MOST).decode("utf-8", "surrogateescape").splitlines()
    return [_parsed(line) for line in lines if " - " in line]


def at(mounts: Sequence[Mounted], path: str) -> Optional[Mounted]:
    """What is seen at a path, None where nothing is mounted on it."""
    return next((mount for mount in reversed(mounts) if mount.path == path), None)


def place(mounts: Sequence[Mounted], path: str) -> Optional[Tuple[str, str]]:
    """The device and the directory in it that a path means: what a bind mount of that path shows."""
    over = [mount for mount in mounts if (path + "/").startswith(mount.path.rstrip("/") + "/")]
    if not over:
        return None
    nearest = max(reversed(over), key=lambda mount: len(mount.path))
    below = path[len(nearest.path.rstrip("/")) :]
    return nearest.device, (nearest.root.rstrip("/") + below) or "/"


def differing(wanted: Sequence[str], mount: Mounted) -> List[str]:
    """The wanted options that the mount does not have, and with what to take away those it should not have."""
    implied = {flag for word in wanted for flag in _IMPLIED.get(word, ())}
    kept = set(wanted) | implied
    missing = [option for option in wanted if not _has(option, mount, wanted)]
    if "bind" in wanted or "rbind" in wanted:
        return missing  # it has the flags of the mount that it shows
    extra = [plain for flag, plain in _NOT_BY_DEFAULT.items() if flag in mount.options and flag not in kept]
    return missing + [plain for plain in extra if plain not in missing]


def escaped(field: str) -> str:
    """A field as fstab and the kernel's list write it."""
    return re.sub(r"[\s\\#]", lambda found: "\\%03o" % ord(found.group()), field)


def _has(option: str, mount: Mounted, wanted: Sequence[str]) -> bool:
    key, equals, value = option.partition("=")
    if not equals:
        if option in _OPPOSITES:
            return _OPPOSITES[option] not in mount.options or _OPPOSITES[option] in wanted
        return option not in _SHOWN or option in mount.options
    shown = dict(part.partition("=")[::2] for part in mount.options)
    if key not in shown:
        return key not in _ALWAYS_SHOWN or "%" in value
    return "%" in value or _number(key, shown[key]) == _number(key, value)


def _number(key: str, value: str) -> str:
    """The value without its ways of being written: 64m is 65536k, 0755 is 755."""
    if key == "mode" or key.endswith("mask"):
        return value.lstrip("0")
    found = re.match(r"(\d+)([kmgt]?)\Z", value.lower())
    return str(int(found.group(1)) * _UNITS[found.group(2)]) if found else value


def _parsed(line: str) -> Mounted:
    before, _, after = line.partition(" - ")
    fields, (kind, source, *rest) = before.split(" "), after.split(" ")
    own, whole = fields[5].split(","), rest[0].split(",") if rest else []
    options = tuple(dict.fromkeys(own + whole))
    if "ro" in options:
        options = tuple(option for option in options if option != "rw")
    return Mounted(fields[2], _plain(fields[3]), _plain(fields[4]), kind, _plain(source), options)


def _plain(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)
