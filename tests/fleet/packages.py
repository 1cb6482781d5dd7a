"""A local apt repository for nodes, which reach no other: the host fetches, nodes install with their own apt.

It is a directory, bound into the node; so installing needs no server process, and no partition stops it. The packages
were verified when the host fetched them; the node trusts the directory as it trusts its own disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.fleet.commands import FleetError, run
from tests.fleet.locks import locked
from tests.fleet.rootfs import Rootfs

IN_NODE = "/srv/packages"
SOURCES_LIST = f"deb [trusted=yes] file:{IN_NODE} ./\n"


def ensure(rootfs: Rootfs, names: Sequence[str]) -> Path:
    """A repository with `names` and all that they need beyond `rootfs`, fetched if it was not yet."""
    wanted = sorted(set(names))
    key = hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:8]
    directory = rootfs.directory / "apt" / f"repository-{key}"
    if not directory.exists():
        with locked(rootfs.directory / "apt" / "lock"):
            if not directory.exists():
                _fetch(rootfs, wanted, directory)
    return directory


def _fetch(rootfs: Rootfs, names: Sequence[str], directory: Path) -> None:
    draft = directory.with_name("draft")  # one at a time: the lock is held
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    env = os.environ | {"APT_CONFIG": str(_apt_conf(rootfs, draft)), "DEBIAN_FRONTEND": "noninteractive"}
    download = ("apt-get", "--yes", "--quiet", "--download-only", "install", *names)
    try:
        run(*download, env=env)
    except FleetError:  # the lists may be older than what the archive still holds
        run("apt-get", "--quiet", "update", env=env)
        run(*download, env=env)
    shutil.rmtree(draft / "apt")
    shutil.rmtree(draft / "partial")
    _index(draft, rootfs.suite)
    draft.rename(directory)


def _apt_conf(rootfs: Rootfs, draft: Path) -> Path:
    """Settings under which the host's apt-get sees the packages, sources and lists of the rootfs, and nothing else."""
    (draft / "apt").mkdir()
    (draft / "partial").mkdir()
    shutil.copy(rootfs.root / "var/lib/dpkg/status", draft / "apt" / "status")
    settings = {
        "Dir": "/",
        "Dir::Etc": rootfs.root / "etc/apt",
        "Dir::Etc::TrustedParts": "/etc/apt/trusted.gpg.d",
        "Dir::State": draft / "apt",
        "Dir::State::status": draft / "apt" / "status",
        "Dir::State::lists": rootfs.apt_lists,
        "Dir::Cache": draft / "apt",
        "Dir::Cache::archives": draft,
        "Dir::Log": draft / "apt",
        "APT::Sandbox::User": "root",
    }
    path = draft / "apt" / "apt.conf"
    path.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    return path


def _index(directory: Path, suite: str) -> None:
    run("sh", "-c", 'cd "$1" && rm -f lock && apt-ftparchive packages . > Packages', "-", str(directory))
    release = "APT::FTPArchive::Release"
    described = [f"-o{release}::Origin=opsctl", f"-o{release}::Label=fleet", f"-o{release}::Suite={suite}"]
    run(
        "sh",
        "-c",
        'cd "$1" && shift && apt-ftparchive "$@" release . > Release.new && mv Release.new Release',
        "-",
        str(directory),
        *described,
    )
