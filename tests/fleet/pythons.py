"""Pythons of this host that nodes run instead of their release's own: bound in at the path they were built for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.fleet.rootfs import Rootfs

# What an agent needs of a Python beyond its start: whatever of it is linked to the release's libraries.
_LINKED = "import ctypes, hashlib, json, select, ssl, zlib"


def asked_for() -> Path | None:
    """The directory that OPSCTL_NODE_PYTHON names, which holds `bin/python3`; None: nodes run their release's own."""
    given = os.environ.get("OPSCTL_NODE_PYTHON")
    return Path(given) if given else None


def refusal(python: Path, rootfs: Rootfs) -> str:
    """Why that Python does not start in nodes of a release, in a line; empty where it does."""
    inside = rootfs.root / "mnt"
    script = 'mount --bind "$1" "$2" && exec chroot "$3" /bin/sh -c "$4"'
    library = f"/mnt/lib PYTHONHOME=/mnt /mnt/bin/python3 -c '{_LINKED}'"
    words = [str(python), str(inside), str(rootfs.root), f"LD_LIBRARY_PATH={library}"]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "-", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it does not start"])[-1]
