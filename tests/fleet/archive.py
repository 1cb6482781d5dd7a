"""The Debian (or Ubuntu) archive that this host itself installs from: read from its apt settings, never named here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fleet.commands import FleetError, run

APT = Path("/etc/apt")
# What a host's administrator may have told apt about reaching the archive; the rest of the host's settings is its own.
_REACHING = re.compile(r"Acquire::(https?(::[^ ]*)?|Retries|Check-Valid-Until|Check-Date) ")


@dataclass(frozen=True, slots=True)
class Archive:
    """Where packages come from. `keyring` is a file, or empty where apt's trusted keys serve."""

    uri: str
    components: tuple[str, ...]
    keyring: str
    settings: tuple[str, ...]  # apt.conf lines, such as a proxy

    def line(self, suite: str) -> str:
        """The one-line source for `suite`."""
        options = f"[signed-by={self.keyring}] " if self.keyring else ""
        return f"deb {options}{self.uri} {suite} {' '.join(self.components)}"


@dataclass(frozen=True, slots=True)
class _Source:
    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    keyring: str


def host_release() -> dict[str, str]:
    """`/etc/os-release` as a mapping; empty where there is none."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines) if key}


def host_archive(directory: Path = APT) -> Archive:
    """The host's own archive; FleetError where apt is not set up for one."""
    codename = host_release().get("VERSION_CODENAME", "")
    sources = list(_sources(directory))
    # Third parties publish under the release's name too, but only the distribution has an updates suite beside it.
    with_updates = {source.uri for source in sources if f"{codename}-updates" in source.suites}
    candidates = [source for source in sources if codename in source.suites and "main" in source.components]
    for source in sorted(candidates, key=lambda source: source.uri not in with_updates):
        return Archive(_reachable(source.uri), source.components, source.keyring, _settings())
    raise FleetError(f"no source for {codename or 'this release'} main in {directory}/sources.list(.d)")


def _settings() -> tuple[str, ...]:
    return tuple(line for line in run("apt-config", "dump").splitlines() if _REACHING.match(line))


def _reachable(uri: str) -> str:
    """A `mirror+file:` list is a file of this host; its first entry serves."""
    if not uri.startswith("mirror+file:"):
        return uri.rstrip("/")
    entries = Path("/" + uri.removeprefix("mirror+file:").lstrip("/")).read_text().split("\n")
    return next(entry.split()[0] for entry in entries if entry.strip() and not entry.startswith("#")).rstrip("/")


def _sources(directory: Path) -> Iterator[_Source]:
    for path in sorted([directory / "sources.list", *directory.glob("sources.list.d/*")]):
        if path.suffix == ".list" and path.is_file():
            for line in path.read_text().splitlines():
                yield from _one_line(line)
        elif path.suffix == ".sources" and path.is_file():
            for stanza in re.split(r"\n\s*\n", path.read_text()):
                yield from _deb822(stanza)


def _one_line(line: str) -> Iterator[_Source]:
    match = re.match(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#]+)", line)
    if match:
        signed_by = re.search(r"signed-by=(/\S+)", match["options"] or "")
        components = tuple(match["components"].split())
        yield _Source(match["uri"], (match["suite"],), components, signed_by[1] if signed_by else "")


def _deb822(stanza: str) -> Iterator[_Source]:
    fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
    if "deb" not in fields.get("Types", "").split() or fields.get("Enabled", "yes").lower() == "no":
        return
    signed_by = fields.get("Signed-By", "").strip()
    keyring = signed_by if signed_by.startswith("/") else ""
    for uri in fields.get("URIs", "").split():
        yield _Source(
            uri, tuple(fields.get("Suites", "").split()), tuple(fields.get("Components", "").split()), keyring
        )
