"""Root file systems: what a node has before opsctl acts. Built once per suite and recipe, shared read-only by nodes.

A rootfs holds what an agent needs to run (Python, systemd, D-Bus, apt) and nothing that a document would install.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.fleet.archive import Archive, host_archive, host_release
from tests.fleet.commands import FleetError, run
from tests.fleet.locks import locked, try_lock

CLONE = Path(__file__).resolve().parents[2]
CACHE = (CLONE / "build" / "nodes").resolve()  # as /proc/mounts has it
_OF_THE_HOST = "bookworm" if host_release().get("ID", "debian") == "debian" else host_release()["VERSION_CODENAME"]
_ASKED_FOR = os.environ.get("OPSCTL_SUITE")
DEFAULT_SUITE = _ASKED_FOR or _OF_THE_HOST
SUITES = (_ASKED_FOR,) if _ASKED_FOR else ("bullseye", "bookworm", "trixie")
"""For tests that take every release: OPSCTL_SUITE leaves one."""

_PACKAGES = (
    "dbus",
    "iproute2",
    "mount",
    "passwd",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
    "tzdata",
)
# Merged /usr from the start, as on every installed system; the package that says so keeps `usrmerge` and perl out.
_MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh")
_WITHOUT_USR_IS_MERGED = ("bullseye", "focal")

_APT_CONF = ('Acquire::Languages "none";', 'APT::Install-Recommends "false";')
_DPKG_CFG = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)
# The exclusions are written once the archives are extracted: during extraction each would cost a filter process.
_AFTER_EXTRACTION = """
cd "$1" && rm -rf usr/share/doc/* usr/share/locale/* usr/share/man/* && cat > etc/dpkg/dpkg.cfg.d/lean"""
# What would act by itself in a node, or has no meaning in one.
_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "e2scrub_reap.service",
    "systemd-modules-load.service",
)
_AT_THE_END = f"""
cd "$1" && : > etc/machine-id && : > etc/resolv.conf && rm -f etc/hostname
for unit in {" ".join(_MASKED)}; do ln -sf /dev/null etc/systemd/system/$unit; done
mkdir -p etc/systemd/system/chrony.service.d
printf '[Unit]\nConditionCapability=\n[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd -x $DAEMON_OPTS\n' \
    > etc/systemd/system/chrony.service.d/no-clock-of-its-own.conf  # a node shares the host's clock and must not set it
if [ "$(chroot . dpkg-query -W -f '${{Version}}' usr-is-merged 2>/dev/null)" = 1 ]; then
    chroot . dpkg --purge usr-is-merged  # the setup hook's placeholder, where the suite has no real one
fi"""
# The build happens in memory, in namespaces that take every mount and process with them when this process ends.
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private",
                 "--pid", "--fork", "--kill-child", "--mount-proc")  # fmt: skip
_BUILD = """
mkdir "$1/memory" && mount -t tmpfs -o mode=755 tmpfs "$1/memory" && mkdir "$1/memory/tmp"
out=$1 root=$1/memory/root; shift
TMPDIR=$out/memory/tmp "$@"
mkdir "$out/apt"
mv "$root/var/lib/apt/lists" "$out/apt/lists"
mkdir -p "$root/var/lib/apt/lists/partial"
cp -a "$root" "$out/root"
"""


@dataclass(frozen=True, slots=True)
class Rootfs:
    """A finished root file system of one suite."""

    suite: str
    directory: Path

    @property
    def root(self) -> Path:
        """The tree that nodes mount; never write to it."""
        return self.directory / "root"

    @property
    def apt_lists(self) -> Path:
        """The package lists that it was built from, so that more packages of the same day resolve against it."""
        return self.directory / "apt" / "lists"


def ensure(suite: str = DEFAULT_SUITE, cache: Path = CACHE) -> Rootfs:
    """The suite's root file system, built if this recipe was not yet; others that ask meanwhile wait for it."""
    archive = host_archive()
    recipe = _recipe(suite, archive)
    draft = cache / f"{suite}.draft"
    directory = cache / f"{suite}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]}"
    if not directory.exists():
        with locked(draft.with_suffix(".lock")):
            if not directory.exists():
                _build(recipe, directory, draft)
    return Rootfs(suite, directory)


def remove_drafts(cache: Path = CACHE) -> list[str]:
    """Remove what builds left that were cut off, and name it; a build that runs holds its lock and keeps its draft."""
    removed = []
    for draft in sorted(cache.glob("*.draft")):
        lock = try_lock(draft.with_suffix(".lock"))
        if lock:
            shutil.rmtree(draft)
            removed.append(draft.name)
            lock.close()
    return removed


def _recipe(suite: str, archive: Archive) -> list[str]:
    packages = list(_PACKAGES)
    hooks = []
    if _MERGED_USR.exists():
        hooks.append(f"--setup-hook={_MERGED_USR}")
        if suite not in _WITHOUT_USR_IS_MERGED:
            packages.append("usr-is-merged")
    dpkg_cfg = shlex.quote("\n".join(_DPKG_CFG))
    return [
        *("mmdebstrap", "--quiet", "--mode=root", "--format=directory", "--variant=apt", "--skip=cleanup/apt/lists"),
        *(f"--aptopt={line}" for line in (*_APT_CONF, *archive.settings)),
        *hooks,
        f"--extract-hook=printf '%s\\n' {dpkg_cfg} | sh -c {shlex.quote(_AFTER_EXTRACTION)} - \"$1\"",
        f"--customize-hook={_AT_THE_END}",
        f"--include={','.join(packages)}",
        suite,
        "{out}/memory/root",
        archive.line(suite),
    ]


def _build(recipe: list[str], directory: Path, draft: Path) -> None:
    """Build in `draft` and rename: a rootfs under its name is always whole."""
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    argv = [word.format(out=draft) if word.startswith("{out}") else word for word in recipe]
    log = draft / "build.log"
    try:
        with log.open("wb") as written:
            run(*_DIES_WITH_US, "sh", "-euc", _BUILD, "-", str(draft), *argv, log=written)
    except FleetError as problem:
        said = log.read_text(errors="replace").strip().splitlines()[-5:]
        raise FleetError(
            f"the root file system {directory.name} was not built: {'; '.join(said) or problem}"
        ) from problem
    (draft / "memory").rmdir()
    draft.rename(directory)
