"""Where steps keep the files whose paths follow from their inputs."""

from __future__ import annotations

from typing import Optional, Tuple

UNITS = "/etc/systemd/system"
HOSTNAME_FILE = "/etc/hostname"
LOCALTIME = "/etc/localtime"
TIMEZONE_FILE = "/etc/timezone"
FSTAB = "/etc/fstab"
LOCALE_GEN = "/etc/locale.gen"
LOCALE_CONF = "/etc/locale.conf"
DEBIAN_LOCALE = "/etc/default/locale"


APT_KEYS = "/etc/apt/keyrings"
RPM_KEYS = "/etc/pki/rpm-gpg"
_SOURCES = {
    "apt": "/etc/apt/sources.list.d/%s.sources",
    "dnf": "/etc/yum.repos.d/%s.repo",
    "zypper": "/etc/zypp/repos.d/%s.repo",
}


def repository_file(system: str, name: str) -> str:
    """The source of packages of a name, as apt, dnf or zypper reads it."""
    return _SOURCES[system] % name


def repository_key(system: str, name: str) -> str:
    """The key of a source of that name, where it has one of its own."""
    return "%s/%s.asc" % (APT_KEYS, name) if system == "apt" else "%s/RPM-GPG-KEY-%s" % (RPM_KEYS, name)


def cron_file(name: str) -> str:
    return "/etc/cron.d/" + name


def sudoers_file(name: str) -> str:
    return "/etc/sudoers.d/" + name


def unit_file(unit: str, drop_in: Optional[str] = None) -> str:
    """A unit's own file, or one of its drop-ins."""
    own = "%s/%s" % (UNITS, unit)
    return own if drop_in is None else "%s.d/%s.conf" % (own, drop_in)


def sysctl_file(name: str) -> str:
    """Late among its like, so that it holds against what packages bring."""
    return "/etc/sysctl.d/99-opsctl-%s.conf" % name.replace("/", "_")


def module_files(module: str) -> Tuple[str, str]:
    """What modprobe goes by, and what is loaded at boot."""
    return "/etc/modprobe.d/opsctl-%s.conf" % module, "/etc/modules-load.d/opsctl-%s.conf" % module


def firewall_files(family: str, table: str) -> Tuple[str, str, str]:
    """A table of nftables, the unit that loads it, and the link that has the unit started at boot."""
    unit = "opsctl-firewall-%s-%s.service" % (family, table)
    rules = "/etc/nftables.d/opsctl-%s-%s.nft" % (family, table)
    return rules, "%s/%s" % (UNITS, unit), "%s/sysinit.target.wants/%s" % (UNITS, unit)
