"""The repositories that opsctl itself keeps under its state: made, cleaned after a crash, packed.

Each has one process at work on it (the state's lock sees to that), so a lock file found at opening is a dead one's.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from reconciler.adapters.git.command import Git
from reconciler.core.problem import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PACKS_TOLERATED = 24
_LEFTOVERS = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/*.lock", "fast_import_crash_*")


def opened(directory: Path, settings: Mapping[str, str]) -> Git:
    """A bare repository at `directory`, made where there is none, without what a killed process left in it."""
    git = Git(directory, bare=True, settings=settings)
    try:
        if not (directory / "HEAD").exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            git.run("init", "--quiet", "--template=")
        sweep(git)
    except OSError as error:
        raise Unavailable(f"directory {directory}", error.strerror or str(error)) from error
    return git


def sweep(git: Git) -> int:
    """Remove what a killed git left behind; the size in bytes of the largest file of it."""
    largest = 0
    for pattern in _LEFTOVERS:
        for leftover in git.directory.glob(pattern):
            largest = max(largest, leftover.stat().st_size)
            leftover.unlink(missing_ok=True)
    return largest


def replaced(git: Git) -> None:
    """Begin the repository anew, empty; for one whose objects are damaged and held elsewhere."""
    shutil.rmtree(git.directory, ignore_errors=True)
    opened(git.directory, {})


def packed(git: Git) -> None:
    """Fold small packs together once there are more than a few. Each object is rewritten O(log n) times in all."""
    if len(list(git.directory.glob("objects/pack/*.pack"))) > _PACKS_TOLERATED:
        git.run("repack", "--quiet", "-d", "--geometric=2")
