"""The host's mounts, as far as a fleet makes any: two per fleet, both under its own directory."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from tests.fleet.commands import FleetError, run, wait_for

_ESCAPED = re.compile(r"\\([0-7]{3})")


def mounted_under(directory: Path) -> list[Path]:
    """Mount points at or below `directory`, the innermost first."""
    directory = directory.resolve()  # as the kernel calls it
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), line.split()[4])) for line in lines]
    real = directory.resolve()  # as mountinfo has it
    return [point for point in reversed(points) if point.is_relative_to(real)]


def mount(kind: str, directory: Path, *options: str) -> None:
    """Mount a file system that needs no device."""
    directory.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", kind, *options, kind, str(directory))


def unmount_under(directory: Path) -> None:
    """Unmount all of it; a file that a dying process holds open is waited for."""
    for point in mounted_under(directory):
        wait_for(partial(_unmounted, point), f"{point} to be unmounted", 10)


def _unmounted(point: Path) -> bool:
    try:
        run("umount", str(point))
    except FleetError:
        return point not in mounted_under(point)
    return True
