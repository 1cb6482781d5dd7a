"""AWS:Application: the packages of dpkg and rpm."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence, Tuple

from agent.contract.canonical import instant
from agent.contract.inventory import TYPE_LIMIT, VALUE_LIMIT, Content
from agent.host.port import Host
from agent.steps.execution import ended_well
from agent.steps.step import StepFailed

_SECONDS = 120.0
_ARCHITECTURES = {"amd64": "x86_64", "386": "i386"}
_DPKG = (
    "Package",
    "Maintainer",
    "Version",
    "db-fsys:Last-Modified",
    "Section",
    "Architecture",
    "Homepage",
    "binary:Summary",
    "db:Status-Status",
)
_RPM = ("NAME", "VENDOR", "VERSION", "RELEASE", "EPOCH", "INSTALLTIME", "GROUP", "ARCH", "URL", "SUMMARY", "SOURCERPM")


def collect(host: Host) -> Content:
    """Installed packages, in the order of their names."""
    told = [found for found in map(_if_there, (_of_dpkg, _of_rpm), (host, host)) if found is not None]
    if not told:
        raise StepFailed("Unsupported: needs dpkg or rpm, which this node has neither of")
    items = [item for found in told for item in found]
    return sorted(items, key=lambda item: (item["Name"], item["Version"], item["Architecture"]))


def _if_there(system: Callable[[Host], Content], host: Host) -> Optional[Content]:
    try:
        return system(host)
    except FileNotFoundError:
        return None


def _of_dpkg(host: Host) -> Content:
    query = "\\t".join("${%s}" % field for field in _DPKG) + "\\n"
    return [_debian(row) for row in _rows(host, ["dpkg-query", "-W", "-f", query], len(_DPKG)) if row[8] == "installed"]


def _debian(row: Sequence[str]) -> Dict[str, str]:
    name, publisher, full, installed, section, architecture, url, summary, _ = row
    epoch, version, release = _parts(full)
    return _item(
        Name=name,
        Publisher=publisher,
        Version=version,
        Release=release,
        Epoch=epoch,
        InstalledTime=_time(installed),
        ApplicationType=section,
        Architecture=_ARCHITECTURES.get(architecture, architecture),
        URL=url,
        Summary=summary,
        PackageId="%s_%s_%s.deb" % (name, full, architecture),
    )


def _parts(full: str) -> Tuple[str, str, str]:
    """Epoch, version and release of Debian's `1:2.3-4`."""
    epoch, colon, rest = full.partition(":")
    if not colon:
        epoch, rest = "", full
    version, _, release = rest.rpartition("-")
    return epoch, version or release, release if version else ""


def _of_rpm(host: Host) -> Content:
    query = "\\t".join("%%{%s}" % field for field in _RPM) + "\\n"
    rows = _rows(host, ["rpm", "-qa", "--qf", query], len(_RPM))
    return [_rpm([_known(text) for text in row]) for row in rows if row[0] != "gpg-pubkey"]


def _rpm(row: Sequence[str]) -> Dict[str, str]:
    name, vendor, version, release, epoch, installed, group, architecture, url, summary, source = row
    return _item(
        Name=name,
        Publisher=vendor,
        Version=version,
        Release=release,
        Epoch=epoch,
        InstalledTime=_time(installed),
        ApplicationType=group,
        Architecture=_ARCHITECTURES.get(architecture, architecture),
        URL=url,
        Summary=summary,
        PackageId=source,
    )


def _rows(host: Host, argv: Sequence[str], fields: int) -> List[List[str]]:
    """What a query prints. Raises FileNotFoundError where there is no such program."""
    ran = host.run(argv, env={"LC_ALL": "C.UTF-8"}, timeout=_SECONDS, keep=4 * TYPE_LIMIT)
    ended_well(ran, argv[0], _SECONDS)
    if ran.spilled:
        raise StepFailed("%s says more than is read of it" % argv[0])
    rows = [line.split("\t") for line in ran.stdout.decode("utf-8", "replace").split("\n")]
    return [row for row in rows if len(row) == fields]


def _item(**attributes: str) -> Dict[str, str]:
    return {name: value[:VALUE_LIMIT] for name, value in attributes.items()}


def _known(text: str) -> str:
    return "" if text == "(none)" else text


def _time(seconds: str) -> str:
    return instant(int(seconds) * 1000) if seconds.isdigit() else ""
